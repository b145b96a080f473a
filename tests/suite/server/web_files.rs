//! Files of the web configuration that were taken away for something that cannot be read.

use std::path::Path;

use super::web::{Certificates, TLS, status};

const CALLERS: usize = 100;

/// Swaps a file for something else; [`restore`] swaps it back.
fn swap(file: &Path, swapped: impl FnOnce(&Path)) {
    std::fs::rename(file, file.with_extension("kept")).unwrap();
    swapped(file);
}

fn restore(file: &Path) {
    std::fs::rename(file.with_extension("kept"), file).unwrap();
}

fn pipe(file: &Path) {
    let made = std::process::Command::new("mkfifo").arg(file).status().unwrap();
    assert!(made.success());
}

fn endless(file: &Path) {
    std::os::unix::fs::symlink("/dev/zero", file).unwrap();
}

fn large(file: &Path) {
    std::fs::File::create(file).unwrap().set_len(1 << 40).unwrap();
}

/// Reading one would not end, or would take all memory.
#[tokio::test]
async fn a_web_configuration_that_cannot_be_read_is_an_error_at_once() {
    let (exporter, _) = Certificates::new().start("basic_auth_users: {}\n").await;
    let file = exporter.folder().join("web.yml");
    for swapped in [pipe, endless, large] {
        swap(&file, swapped);
        let asked = futures_util::future::join_all((0..CALLERS).map(|_| exporter.get("/-/healthy"))).await;
        assert!(asked.iter().all(|answer| answer.status == 500));
        restore(&file);
        assert_eq!(exporter.get("/-/healthy").await.status, 200);
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_refuses_handshakes_at_once() {
    let (exporter, client) = Certificates::new().start(TLS).await;
    for name in ["server.pem", "server.key", "web.yml"] {
        let file = exporter.folder().join(name);
        for swapped in [pipe, endless, large] {
            swap(&file, swapped);
            let asked = (0..CALLERS).map(|_| status(&exporter, &client.plain));
            let asked = futures_util::future::join_all(asked).await;
            assert!(asked.iter().all(Option::is_none), "{name}");
            restore(&file);
            assert_eq!(status(&exporter, &client.plain).await, Some(200), "{name}");
        }
    }
    // What only the operator can repair is said, at the level that is always logged, once per minute.
    let log = exporter.log();
    let broken = log
        .matches("level=ERROR")
        .filter(|_| log.contains("Unable to parse configuration"));
    assert_eq!(broken.count(), 1, "{log}");
}
