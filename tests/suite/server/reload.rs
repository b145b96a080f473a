//! Loading the configuration again.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::MODULES;
use crate::support::process::Process;
use crate::support::programs::skipped;
use crate::support::{Exporter, folder, has, lacks};

const OTHER: &str = "modules:\n  second: {prober: tcp}\n";
const BROKEN: &str = "modules:\n  third: {prober: smoke}\n";

async fn wait_for(exporter: &Exporter, words: &str) {
    wait_until(exporter, words, true).await;
}

/// Waits until `/config` has the words, or has them no longer.
async fn wait_until(exporter: &Exporter, words: &str, has: bool) {
    let seen = async {
        while exporter.get("/config").await.text().contains(words) != has {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen)
        .await
        .expect(words);
}

/// The part of a file that is there while it is written may be valid, and lack the policy at its end.
#[tokio::test]
async fn a_file_is_read_when_its_writer_has_closed_it() {
    let flags = [
        "--config.enable-auto-reload",
        "--config.auto-reload-interval=3600",
    ];
    let exporter = Exporter::start(MODULES, &flags).await;
    let mut file = std::fs::File::create(exporter.config_file()).unwrap();
    file.write_all(b"modules:\n  first_half: {prober: tcp}\n")
        .unwrap();
    // Ten times as long as files are left alone.
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        lacks(exporter.get("/config").await.text(), ["first_half"]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    file.write_all(b"  second_half: {prober: tcp}\n").unwrap();
    drop(file);
    wait_for(&exporter, "second_half").await;
}

#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let exporter = Exporter::start(MODULES, &[]).await;
    std::fs::write(exporter.config_file(), BROKEN).unwrap();
    let answer = exporter.request("POST", "/-/reload", &[]).await;
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .text()
            .starts_with("failed to reload config: error parsing config file: "),
        "{}",
        answer.text()
    );
    has(answer.text(), ["prober 'smoke' is not valid"]);
    has(exporter.log(), ["level=ERROR", "Error reloading config"]);
    let state = "blackbox_exporter_config_last_reload_successful";
    assert_eq!(exporter.get("/metrics").await.sample(state), Some(0.0));
    has(exporter.get("/config").await.text(), ["tcp_plain"]);

    std::fs::write(exporter.config_file(), OTHER).unwrap();
    let answer = exporter.request("POST", "/-/reload", &[]).await;
    assert_eq!(
        (answer.status, answer.text(), answer.header("content-length")),
        (200, "", Some("0"))
    );
    assert_eq!(exporter.get("/metrics").await.sample(state), Some(1.0));
    has(exporter.get("/config").await.text(), ["second"]);
}

#[tokio::test]
async fn only_post_reloads() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let answer = exporter.get("/-/reload").await;
    assert_eq!(
        (answer.status, answer.text()),
        (405, "This endpoint requires a POST request.\n")
    );
}

#[tokio::test]
async fn a_changed_file_is_noticed_long_before_the_interval() {
    let flags = [
        "--config.enable-auto-reload",
        "--config.auto-reload-interval=3600",
    ];
    let exporter = Exporter::start(MODULES, &flags).await;
    std::fs::write(exporter.config_file(), OTHER).unwrap();
    wait_for(&exporter, "second").await;
}

#[tokio::test]
async fn files_that_appear_in_a_folder_or_leave_it_are_noticed() {
    let files = folder(&[
        ("blackbox.yml", MODULES),
        ("conf.d/a.yml", "modules: {a: {prober: tcp}}"),
    ]);
    let path = files.path().to_owned();
    let flags = [
        "--config.file={dir}/conf.d",
        "--config.file={dir}/team-*.yml",
        "--config.enable-auto-reload",
        "--config.auto-reload-interval=3600",
    ];
    let exporter = Exporter::start_in(files, &flags).await.unwrap();
    std::fs::write(path.join("conf.d/b.yml"), "modules: {second: {prober: tcp}}").unwrap();
    wait_for(&exporter, "second").await;
    std::fs::write(path.join("team-a.yml"), "modules: {third: {prober: tcp}}").unwrap();
    wait_for(&exporter, "third").await;
    std::fs::remove_file(path.join("conf.d/b.yml")).unwrap();
    wait_until(&exporter, "second", false).await;
}

#[tokio::test]
async fn a_file_that_is_repaired_to_what_is_loaded_is_noticed() {
    let flags = [
        "--config.enable-auto-reload",
        "--config.auto-reload-interval=3600",
    ];
    let exporter = Exporter::start(MODULES, &flags).await;
    for (text, successful) in [(BROKEN, 0), (MODULES, 1)] {
        std::fs::write(exporter.config_file(), text).unwrap();
        let want = format!("\nblackbox_exporter_config_last_reload_successful {successful}\n");
        let seen = async {
            while !exporter.get("/metrics").await.text().contains(&want) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen)
            .await
            .expect(&want);
    }
}

/// A mounted ConfigMap: `blackbox.yml -> ..data/blackbox.yml`, `..data -> ..2026`, and `..data` is replaced.
#[tokio::test]
async fn a_swapped_config_map_is_noticed() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("blackbox.yml"), text).unwrap();
        symlink(name, folder.path().join("..data_tmp")).unwrap();
        std::fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    };
    put("..2026_01", MODULES);
    symlink("..data/blackbox.yml", folder.path().join("blackbox.yml")).unwrap();
    let path = folder.path().to_owned();
    let flags = [
        "--config.enable-auto-reload",
        "--config.auto-reload-interval=3600",
    ];
    let exporter = Exporter::start_in(folder, &flags).await.unwrap();
    std::fs::create_dir(path.join("..2026_02")).unwrap();
    std::fs::write(path.join("..2026_02/blackbox.yml"), OTHER).unwrap();
    symlink("..2026_02", path.join("..data_tmp")).unwrap();
    std::fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    wait_for(&exporter, "second").await;
}

/// `current/blackbox.yml`, `current -> releases/1`, and `current` is replaced.
#[tokio::test]
async fn a_swapped_folder_above_the_file_is_noticed() {
    use std::os::unix::fs::symlink;
    let files = folder(&[
        ("blackbox.yml", MODULES),
        ("releases/1/blackbox.yml", "modules: {first: {prober: tcp}}"),
        ("releases/2/blackbox.yml", OTHER),
    ]);
    let path = files.path().to_owned();
    symlink("releases/1", path.join("current")).unwrap();
    let flags = [
        "--config.file={dir}/current/blackbox.yml",
        "--config.enable-auto-reload",
        "--config.auto-reload-interval=3600",
    ];
    let exporter = Exporter::start_in(files, &flags).await.unwrap();
    symlink("releases/2", path.join("next")).unwrap();
    std::fs::rename(path.join("next"), path.join("current")).unwrap();
    wait_for(&exporter, "second").await;
    // The new one is watched, too.
    let third = "modules: {third: {prober: tcp}}";
    std::fs::write(path.join("releases/2/blackbox.yml"), third).unwrap();
    wait_for(&exporter, "third").await;
}

/// With `--config.skip-broken-files`, a link that leads nowhere is only left out.
#[tokio::test]
async fn a_file_that_cannot_be_read_hides_no_change_of_another() {
    let files = folder(&[("blackbox.yml", MODULES), ("conf.d/a.yml", MODULES)]);
    let path = files.path().to_owned();
    std::os::unix::fs::symlink("nowhere", path.join("conf.d/b.yml")).unwrap();
    let flags = [
        "--config.file={dir}/conf.d",
        "--config.skip-broken-files",
        "--config.enable-auto-reload",
        "--config.auto-reload-interval=3600",
    ];
    let exporter = Exporter::start_in(files, &flags).await.unwrap();
    std::fs::write(path.join("conf.d/a.yml"), OTHER).unwrap();
    wait_for(&exporter, "second").await;
}

/// The kernel keeps so many events, and says only that there were more.
#[test]
fn a_change_is_noticed_that_the_kernel_forgot() {
    let most = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let most: usize = most.trim().parse().unwrap();
    if most > 100_000 {
        return skipped("a kernel that keeps fewer events");
    }
    let flags = [
        "--config.enable-auto-reload",
        "--config.auto-reload-interval=3600",
    ];
    let exporter = Process::start(MODULES, &flags, "true");
    let write = |text: &str| std::fs::write(exporter.folder().join("config.yml"), text).unwrap();
    let serves = |words: &str, meanwhile: &dyn Fn()| {
        let start = Instant::now();
        while !exporter.get("/config").contains(words) {
            assert!(start.elapsed() < Duration::from_secs(20), "{}", exporter.log());
            std::thread::sleep(Duration::from_millis(20));
            meanwhile();
        }
    };
    // It begins to watch a little after it listens.
    serves("third", &|| {
        write("modules: {third: {prober: tcp}}");
        std::thread::sleep(Duration::from_secs(1));
    });
    exporter.signal(Signal::STOP);
    for n in 0..most {
        // Two events each at least.
        let file = exporter.folder().join(format!("x{n}"));
        std::fs::write(&file, "").unwrap();
        std::fs::remove_file(file).unwrap();
    }
    write(OTHER);
    exporter.signal(Signal::CONT);
    serves("second", &|| ());
}

/// A named pipe ends when its writer closes it: until then a reload reads. Of many that are asked for meanwhile, one waits.
#[tokio::test]
async fn reloads_share_a_file_that_hangs() {
    const ASKED: usize = 50;
    let exporter = Exporter::start(MODULES, &[]).await;
    let file = exporter.config_file();
    std::fs::remove_file(&file).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&file)
            .status()
            .unwrap()
            .success()
    );
    let reloads = futures_util::future::join_all((0..ASKED).map(|_| exporter.running.exporter.reload()));
    let fed = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            // Without a reader it cannot be opened.
            let pipe = std::fs::OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(&file);
            if let Ok(mut pipe) = pipe {
                let _ = pipe.write_all(OTHER.as_bytes());
            }
        }
    };
    let reloaded = tokio::select! {
        reloaded = reloads => reloaded,
        () = fed => unreachable!(),
    };
    assert!(reloaded.iter().all(Result::is_ok), "{reloaded:?}");
    let times = exporter.log().matches("Reloaded config file").count();
    assert!(
        (1..=2).contains(&times),
        "{times} reloads for {ASKED} concurrent requests"
    );
    has(exporter.get("/config").await.text(), ["second"]);
}
