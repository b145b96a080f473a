//! `--config.enable-auto-reload`: noticing a changed configuration or targets file.
//!
//! The system tells of changes where it can; a look at every interval, which is all that upstream does, catches the rest
//! (network file systems, exhausted watches).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::module::load::{Checksum, checksum, read_regular};
use crate::probe_log::text;
use crate::say;
use crate::server::Exporter;

/// How long a file must be left alone before it is read: editors and `cp` write in pieces.
const QUIET: Duration = Duration::from_millis(200);

/// How often that may be put off for one change.
const MOST_WAITS: usize = 10;

/// Reloads at every interval, and as soon as the system tells of a change.
pub fn start(exporter: &Arc<Exporter>, interval: Duration) {
    let files: Vec<PathBuf> = exporter.store.files().into_iter().map(|(file, _)| file).collect();
    if files.is_empty() {
        return;
    }
    tokio::spawn(reload_at_interval(Arc::clone(exporter), interval));
    let (tell, told) = mpsc::channel(1);
    match watcher(&files, tell) {
        Ok(watcher) => drop(tokio::spawn(reload_when_told(
            Arc::clone(exporter),
            watcher,
            told,
        ))),
        Err(error) => say!(
            exporter.logger,
            Warn,
            "Cannot watch the configuration file; checking it at the interval only",
            "err" => text(error),
        ),
    }
}

async fn reload_at_interval(exporter: Arc<Exporter>, interval: Duration) {
    loop {
        // Zero would be a busy loop.
        sleep(interval.max(Duration::from_secs(1))).await;
        // The log says how it went.
        let _ = exporter.reload().await;
    }
}

/// Watches the folders of the files and of what they are links to. A mounted ConfigMap changes by a link, `..data`,
/// that stands beside the file and is replaced.
fn watcher(files: &[PathBuf], tell: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let targets = files.iter().filter_map(|file| file.canonicalize().ok());
    let paths: Vec<PathBuf> = files.iter().cloned().chain(targets).collect();
    let names: BTreeSet<_> = paths
        .iter()
        .filter_map(|path| path.file_name())
        .map(OsStr::to_owned)
        .collect();
    let concerns = move |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        names.contains(name) || name.as_encoded_bytes().starts_with(b"..")
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error may mean that events were lost: then it is better to look.
        let concerns_us = event.map_or(true, |event| {
            !event.kind.is_access() && event.paths.iter().any(&concerns)
        });
        if concerns_us {
            // Full means that it is known already.
            let _ = tell.try_send(());
        }
    })?;
    let folders: BTreeSet<&Path> = paths.iter().map(|path| folder(path)).collect();
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

async fn reload_when_told(
    exporter: Arc<Exporter>,
    watcher: RecommendedWatcher,
    mut told: mpsc::Receiver<()>,
) {
    // It stops watching when it is dropped.
    let _watcher = watcher;
    // A broken file is reported once, not at every event in its folder.
    let mut tried: Vec<Option<Checksum>> = Vec::new();
    while told.recv().await.is_some() {
        for _ in 0..MOST_WAITS {
            sleep(QUIET).await;
            if told.try_recv().is_err() {
                break;
            }
        }
        let looking = Arc::clone(&exporter);
        let read = tokio::task::spawn_blocking(move || {
            let (files, loaded): (Vec<_>, Vec<_>) = looking.store.files().into_iter().unzip();
            let read = files
                .iter()
                .map(|file| read_regular(file).ok().map(|text| checksum(&text)));
            (read.collect::<Vec<_>>(), loaded)
        });
        let (now, loaded) = read.await.unwrap_or_default();
        let is_news = now.iter().all(Option::is_some) && now != tried && now != loaded;
        if is_news {
            let _ = exporter.reload().await;
        }
        tried = now;
    }
}
