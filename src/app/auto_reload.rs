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

use crate::config::files::disk::read_regular;
use crate::module::load::{Checksum, checksum};
use crate::probe_log::text;
use crate::say;
use crate::server::Exporter;

/// How long a file must be left alone before it is read: editors and `cp` write in pieces.
const QUIET: Duration = Duration::from_millis(200);

/// How often that may be put off for one change.
const MOST_WAITS: usize = 10;

/// Reloads at every interval, and as soon as the system tells of a change.
pub fn start(exporter: &Arc<Exporter>, interval: Duration) {
    let files = exporter.store.files();
    if files.is_empty() {
        return;
    }
    tokio::spawn(reload_at_interval(Arc::clone(exporter), interval));
    let (tell, told) = mpsc::channel(1);
    match watcher(&files, exporter.store.folders(), tell) {
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
/// that stands beside the file and is replaced. In the folders `listed`, every file that is not hidden counts.
fn watcher(
    files: &[PathBuf],
    listed: Vec<PathBuf>,
    tell: mpsc::Sender<()>,
) -> notify::Result<RecommendedWatcher> {
    let targets = files.iter().filter_map(|file| file.canonicalize().ok());
    let paths: Vec<PathBuf> = files.iter().cloned().chain(targets).collect();
    let names: BTreeSet<_> = paths
        .iter()
        .filter_map(|path| path.file_name())
        .map(OsStr::to_owned)
        .collect();
    // Events have absolute paths.
    let listed: Vec<PathBuf> = listed
        .into_iter()
        .filter_map(|path| std::path::absolute(path).ok())
        .collect();
    let folders = paths.iter().map(|path| folder(path).to_owned());
    let folders: BTreeSet<PathBuf> = folders.chain(listed.iter().cloned()).collect();
    let concerns = move |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        names.contains(name)
            || name.as_encoded_bytes().starts_with(b"..")
            || !is_hidden
                && path
                    .parent()
                    .is_some_and(|at| listed.iter().any(|folder| folder == at))
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
    for folder in folders {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
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
    let mut tried: Option<Vec<(PathBuf, Checksum)>> = None;
    while told.recv().await.is_some() {
        for _ in 0..MOST_WAITS {
            sleep(QUIET).await;
            if told.try_recv().is_err() {
                break;
            }
        }
        let looking = Arc::clone(&exporter);
        let read = tokio::task::spawn_blocking(move || {
            let sum_of = |file: PathBuf| {
                let sum = checksum(&read_regular(&file).ok()?);
                Some((file, sum))
            };
            // Nothing when one of them cannot be read now: it may be about to be replaced.
            let now: Option<Vec<_>> = looking.store.files().into_iter().map(sum_of).collect();
            // What is loaded was repaired to it, if the latest reload failed: then another one says so.
            let is_news =
                |now: &Vec<_>| !looking.store.status().successful || *now != looking.store.loaded_files();
            let is_news = now.as_ref().is_some_and(is_news);
            (now, is_news)
        });
        let (now, is_news) = read.await.unwrap_or_default();
        if is_news && now != tried {
            let _ = exporter.reload().await;
        }
        tried = now;
    }
}
