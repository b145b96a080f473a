//! A file system that hangs, as a dead NFS server or FUSE daemon leaves it: no worker waits for it, not even for fifty milliseconds, so that other probes and
//! pages are served, and what needs a file from it ends with its own timeout.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::namespace::{is_inside, outside};
use crate::support::programs::skipped;
use crate::support::{Exporter, spawn};

/// How often the watchdog looks, and how often in a row it may find the worker asleep in the kernel with work to do.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const ASLEEP: u32 = 5;
/// How long the worker may compute and do nothing else, or wait for a processor.
const BUSY: Duration = Duration::from_secs(3);

/// `/mnt` is a FUSE file system whose server, this process, never answers.
const SETUP: &str = "exec 3<>/dev/fuse && \
    mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other dead /mnt";

/// Ends the process with an error when the runtime's worker stands still: fifty milliseconds in the kernel, or much longer elsewhere.
fn watch() {
    let tick = Arc::<AtomicU64>::default();
    let ticking = Arc::clone(&tick);
    let (tell, told) = std::sync::mpsc::channel();
    spawn(async move {
        let _ = tell.send(std::fs::read_link("/proc/thread-self").unwrap());
        loop {
            ticking.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    std::thread::spawn(move || {
        let worker = Path::new("/proc").join(told.recv().unwrap()).join("stat");
        let (mut last, mut since, mut asleep) = (0, Instant::now(), 0);
        loop {
            std::thread::sleep(LOOK_EVERY);
            let state = std::fs::read_to_string(&worker).unwrap();
            let now = tick.load(Ordering::Relaxed);
            if now != last {
                (last, since, asleep) = (now, Instant::now(), 0);
            }
            // Behind its name.
            let is_asleep = state
                .rsplit(") ")
                .next()
                .is_some_and(|rest| !rest.starts_with('R'));
            asleep = if is_asleep { asleep + 1 } else { 0 };
            if asleep > ASLEEP || since.elapsed() > BUSY {
                eprintln!("the worker has been held for {:?}: {state}", since.elapsed());
                std::process::exit(101);
            }
        }
    });
}

/// In this test there is one worker; a single probe that waits for the file system would hold it.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_but_its_own_probes_waits_for_a_file_system_that_hangs() {
    if !is_inside() && !Path::new("/dev/fuse").exists() {
        return skipped("/dev/fuse");
    }
    if outside(
        "hung::nothing_but_its_own_probes_waits_for_a_file_system_that_hangs",
        SETUP,
    ) {
        return;
    }
    watch();
    let modules = "modules:
  u: {prober: unix, timeout: 1s}
  ca: {prober: tcp, timeout: 1s, tcp: {tls: true, tls_config: {ca_file: /mnt/ca}}}
  body: {prober: http, timeout: 1s, http: {body_file: /mnt/body}}
  token: {prober: http, timeout: 1s, http: {bearer_token_file: /mnt/token}}
  tcp: {prober: tcp, timeout: 30s}
";
    let own = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = own.local_addr().unwrap().to_string();
    for policy in ["", "policy: {deny: {unix_paths: [/run/secret]}}\n"] {
        let folder = tempfile::tempdir().unwrap();
        let web = folder.path().join("web.yml");
        std::fs::write(&web, "http_server_config: {http2: true}\n").unwrap();
        std::fs::write(folder.path().join("blackbox.yml"), format!("{modules}{policy}")).unwrap();
        let exporter = Exporter::start_in(folder, &["--web.config.file={dir}/web.yml"]).await;
        let exporter = Arc::new(exporter.unwrap());
        // What was read of it before stays in use.
        std::fs::remove_file(&web).unwrap();
        std::os::unix::fs::symlink("/mnt/web.yml", &web).unwrap();
        let targets = [
            ("u", "/mnt/a.sock".to_owned()),
            ("u", "/proc/self/root/mnt/b/../a.sock".to_owned()),
            ("ca", own.clone()),
            ("body", format!("http://{own}/")),
            ("token", format!("http://{own}/")),
            ("tcp", "[fe80::1%../../../mnt/x]:1".to_owned()),
        ];
        let hanging: Vec<_> = targets
            .iter()
            .flat_map(|target| std::iter::repeat_n(target.clone(), 4))
            .map(|(module, target)| {
                let exporter = Arc::clone(&exporter);
                spawn(async move { (target.clone(), exporter.probe(module, &target).await) })
            })
            .collect();
        // Meanwhile all others are served.
        assert_eq!(exporter.get("/-/healthy").await.status, 200);
        assert_eq!(exporter.get("/metrics").await.status, 200);
        assert_eq!(
            exporter
                .probe("tcp", &exporter.address.to_string())
                .await
                .sample("probe_success"),
            Some(1.0)
        );
        for probe in hanging {
            let (target, answer) = probe.await.unwrap();
            assert_eq!(answer.sample("probe_success"), Some(0.0), "{target}");
        }
    }
    // The threads that wait for the file system would be waited for.
    std::process::exit(0);
}
