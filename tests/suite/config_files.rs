//! A configuration of several files, folders and patterns.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Exporter, folder, has, lacks};

#[tokio::test(flavor = "multi_thread")]
async fn several_files_are_one_configuration() {
    let files = folder(&[
        ("blackbox.yml", "modules: {a: {prober: tcp}}\n"),
        ("conf.d/b.yml", "modules: {b: {prober: icmp}}\n"),
        ("conf.d/c.yaml", "modules: {c: {prober: http}}\n"),
        ("conf.d/readme.txt", "nothing\n"),
        ("more-d.yml", "modules: {d: {prober: http}}\n"),
    ]);
    let path = files.path().to_owned();
    let flags = ["--config.file={dir}/conf.d", "--config.file={dir}/more-*.yml"];
    let exporter = Exporter::start_in(files, &flags).await.unwrap();
    let shown = exporter.get("/config").await.text().to_owned();
    for name in ["  a:", "  b:", "  c:", "  d:"] {
        has(&shown, [name]);
    }
    std::fs::write(path.join("conf.d/e.yml"), "modules: {e: {prober: tcp}}\n").unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 200);
    has(exporter.get("/config").await.text(), ["  e:"]);
    std::fs::write(path.join("conf.d/e.yml"), "modules: {b: {prober: tcp}}\n").unwrap();
    let answer = exporter.request("POST", "/-/reload", &[]).await;
    assert_eq!(answer.status, 500);
    has(
        answer.text(),
        [
            "conf.d/e.yml: error parsing config file: ",
            "module \"b\": already defined in ",
            "b.yml:1:11",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_among_others_may_be_left_out() {
    let files = [
        ("blackbox.yml", "modules: {a: {prober: tcp}}\n"),
        ("conf.d/b.yml", "modules: {b: {prober: smoke}}\n"),
    ];
    let flags = ["--config.file={dir}/conf.d"];
    let error = Exporter::start_in(folder(&files), &flags).await.err().unwrap();
    has(&error, ["conf.d/b.yml", "smoke"]);
    let flags = ["--config.file={dir}/conf.d", "--config.skip-broken-files"];
    let exporter = Exporter::start_in(folder(&files), &flags).await.unwrap();
    has(exporter.get("/config").await.text(), ["  a:"]);
    has(exporter.log(), ["conf.d/b.yml was skipped"]);
    lacks(exporter.log(), ["module=\"\"", "line=0"]);
    let html = [("Accept", "text/html")];
    let home = exporter.request("GET", "/", &html).await;
    has(
        home.text(),
        [
            "Files of the configuration are left out",
            "conf.d/b.yml was skipped",
        ],
    );
    let unknown = exporter.request("GET", "/probe?module=b&target=x", &html).await;
    has(unknown.text(), ["Files with mistakes are left out"]);
    let broken = exporter
        .get("/metrics")
        .await
        .sample("blackbox_exporter_config_broken_files");
    assert_eq!(broken, Some(1.0));
    let file = exporter.folder().join("conf.d/b.yml");
    std::fs::write(file, "modules: {b: {prober: tcp}}\n").unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 200);
    let broken = exporter
        .get("/metrics")
        .await
        .sample("blackbox_exporter_config_broken_files");
    assert_eq!(broken, Some(0.0));
}

/// Skipped, it would let probes go where it does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_with_a_policy_is_not_left_out() {
    const POLICY: &str = "policy: {preset: public-only}\nmodules: {p: {prober: ";
    let file = |prober: &str| format!("{POLICY}{prober}}}}}\n");
    let (good, wrong) = (file("tcp"), file("tpc"));
    let flags = ["--config.file={dir}/conf.d", "--config.skip-broken-files"];
    let flow = "{\"modules\": {\"p\": {\"prober\": \"tpc\"}}, \"policy\": {\"preset\": \"public-only\"}}";
    for text in [&*wrong, "policy: [\n", flow] {
        let files = folder(&[BASE, ("conf.d/a.yml", BASE.1), ("conf.d/p.yml", text)]);
        let error = Exporter::start_in(files, &flags).await.err().unwrap();
        has(&error, ["conf.d/p.yml", "not skipped because it has a policy"]);
    }
    let named = "modules:\n  policy_api: {prober: bogus}\n";
    let files = folder(&[BASE, ("conf.d/a.yml", BASE.1), ("conf.d/p.yml", named)]);
    let exporter = Exporter::start_in(files, &flags).await.unwrap();
    has(exporter.log(), ["conf.d/p.yml was skipped"]);
    let files = folder(&[BASE, ("conf.d/a.yml", BASE.1), ("conf.d/p.yml", &good)]);
    let path = files.path().join("conf.d/p.yml");
    let exporter = Exporter::start_in(files, &flags).await.unwrap();
    std::fs::write(&path, wrong).unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 500);
    // Nor is one that cannot be read and had the policy.
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let answer = exporter.request("POST", "/-/reload", &[]).await;
    assert_eq!(answer.status, 500);
    has(answer.text(), ["the policy in force is in none of the files"]);
    let refused = exporter.probe("a", "127.0.0.1:1").await;
    has(
        exporter.get("/metrics").await.text(),
        ["blackbox_exporter_targets_refused_total 1\n"],
    );
    assert_eq!(refused.sample("probe_success"), Some(0.0));
}

fn link(folder: &tempfile::TempDir, to: &str, name: &str) {
    std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
}

fn pipe(folder: &tempfile::TempDir, name: &str) {
    let made = std::process::Command::new("mkfifo")
        .arg(folder.path().join(name))
        .status();
    assert!(made.unwrap().success());
}

const BASE: (&str, &str) = ("blackbox.yml", "modules: {a: {prober: tcp}}\n");

/// Starts within a time in which nothing hangs.
async fn started(files: tempfile::TempDir, flags: &[&str]) -> Result<Exporter, String> {
    let starting = Exporter::start_in(files, flags);
    tokio::time::timeout(Duration::from_secs(60), starting)
        .await
        .expect("it hangs")
}

/// What is no file that ends is an error that names it, or is left out; nothing waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn pipes_devices_and_circles_in_a_folder_hang_nothing() {
    #[rustfmt::skip]
    let rows: [(&str, fn(&tempfile::TempDir), &str); 4] = [
        ("a pipe", |f| pipe(f, "conf.d/p.yml"), "conf.d/p.yml: not a regular file"),
        ("a device", |f| link(f, "/dev/zero", "conf.d/z.yml"), "conf.d/z.yml: not a regular file"),
        ("a circle", |f| link(f, "l.yml", "conf.d/l.yml"), "conf.d/l.yml: "),
        ("a link to nothing", |f| link(f, "/nonexistent", "conf.d/n.yml"), "conf.d/n.yml: "),
    ];
    for (what, make, reason) in rows {
        for source in ["{dir}/conf.d", "{dir}/conf.d/*.yml"] {
            let files = || {
                let files = folder(&[BASE, ("conf.d/b.yml", "modules: {b: {prober: icmp}}\n")]);
                make(&files);
                files
            };
            let source = format!("--config.file={source}");
            let error = started(files(), &[&source])
                .await
                .err()
                .unwrap_or_else(|| panic!("{what}"));
            assert!(error.contains(reason), "{what}: {error}");
            let exporter = started(files(), &[&source, "--config.skip-broken-files"])
                .await
                .unwrap();
            let shown = exporter.get("/config").await;
            assert!(
                shown.text().contains("  a:") && shown.text().contains("  b:"),
                "{what}: {}",
                shown.text()
            );
            let broken = exporter
                .get("/metrics")
                .await
                .sample("blackbox_exporter_config_broken_files");
            assert_eq!(broken, Some(1.0), "{what}");
        }
    }
}

/// Folders that are links to each other: a folder is not searched below, and a pattern has no `**`.
#[tokio::test(flavor = "multi_thread")]
async fn folders_in_a_circle_are_not_walked() {
    let files = || {
        let files = folder(&[BASE, ("conf.d/b.yml", "modules: {b: {prober: icmp}}\n")]);
        for name in ["conf.d/x", "conf.d/y", "conf.d/z.yml"] {
            link(&files, ".", name);
        }
        files
    };
    let exporter = started(files(), &["--config.file={dir}/conf.d"]).await.unwrap();
    has(exporter.get("/config").await.text(), ["  b:"]);
    let error = started(files(), &["--config.file={dir}/conf.d/**/*.yml"])
        .await
        .err()
        .unwrap();
    has(&error, ["a pattern cannot have **"]);
    let error = started(files(), &["--config.file={dir}/conf.d/[b.yml"])
        .await
        .err()
        .unwrap();
    has(&error, ["not a pattern"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_files_of_editors_are_left_alone() {
    for source in ["conf.d", "conf.d/*.yml", "*/*.yml", "conf.d/.d.*"] {
        let files = folder(&[
            BASE,
            ("conf.d/b.yml", "modules: {b: {prober: icmp}}\n"),
            ("conf.d/.c.yml", "{{{\n"),
            ("conf.d/.d.yml", "modules: {d: {prober: icmp}}\n"),
        ]);
        link(&files, "somebody@host.123", "conf.d/.#b.yml");
        let flag = format!("--config.file={{dir}}/{source}");
        let exporter = started(files, &[&flag]).await.unwrap();
        let is_named = source.contains(".d.");
        let shown = exporter.get("/config").await;
        has(shown.text(), [if is_named { "  d:" } else { "  b:" }]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_files_load_and_reload() {
    let files = folder(&[BASE]);
    let conf = files.path().join("conf.d");
    std::fs::create_dir(&conf).unwrap();
    for index in 0..3000 {
        let text = format!("modules: {{m{index}: {{prober: tcp}}}}\n");
        std::fs::write(conf.join(format!("{index}.yml")), text).unwrap();
    }
    let exporter = started(files, &["--config.file={dir}/conf.d"]).await.unwrap();
    assert_eq!(exporter.running.exporter.store.current().modules.len(), 3001);
    std::fs::remove_file(conf.join("17.yml")).unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 200);
    assert_eq!(exporter.running.exporter.store.current().modules.len(), 3000);
}

/// Files of 40 MiB, two of them: more than a configuration may have.
#[tokio::test(flavor = "multi_thread")]
async fn all_files_together_have_a_limit() {
    let files = folder(&[BASE]);
    for name in ["conf.d/1.yml", "conf.d/2.yml"] {
        let path = files.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Holes: they take no room on the disk.
        std::fs::File::create(path).unwrap().set_len(40 << 20).unwrap();
    }
    let error = started(files, &["--config.file={dir}/conf.d"])
        .await
        .err()
        .unwrap();
    has(&error, ["2.yml: all files have more than 64 MiB together"]);
}

/// Files come, go and change while reloads run: each either fails as a whole or loads what was there.
#[tokio::test(flavor = "multi_thread")]
async fn files_may_change_during_reloads() {
    let files = folder(&[BASE, ("conf.d/b.yml", "modules: {b: {prober: icmp}}\n")]);
    let conf = files.path().join("conf.d");
    let exporter = started(files, &["--config.file={dir}/conf.d"]).await.unwrap();
    let reloading = Arc::new(());
    let while_reloading = Arc::downgrade(&reloading);
    let writer = std::thread::spawn(move || {
        for round in (0..7).cycle().take_while(|_| while_reloading.strong_count() > 0) {
            let name = format!("x{round}.yml");
            let text = format!("modules: {{x{round}: {{prober: tcp}}}}\n");
            std::fs::write(conf.join("new"), text).unwrap();
            std::fs::rename(conf.join("new"), conf.join(&name)).unwrap();
            std::fs::remove_file(conf.join(name)).unwrap();
        }
    });
    for _ in 0..20 {
        let answer = exporter.request("POST", "/-/reload", &[]).await;
        assert_eq!(
            answer.status,
            200,
            "a file that is gone is not missing: {}",
            answer.text()
        );
    }
    drop(reloading);
    writer.join().unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 200);
    assert_eq!(exporter.running.exporter.store.current().modules.len(), 2);
}
