//! `--config.enable-auto-reload`: noticing a changed configuration file.
//!
//! The system tells of changes where it can; a look at every interval, which is all that upstream does, catches the rest
//! (network file systems, exhausted watches).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::sleep;

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
    let Some(file) = exporter.store.file().map(Path::to_owned) else {
        return;
    };
    tokio::spawn(reload_at_interval(Arc::clone(exporter), interval));
    let (tell, told) = mpsc::channel(1);
    match watcher(&file, tell) {
        Ok(watcher) => drop(tokio::spawn(reload_when_told(
            Arc::clone(exporter),
            file,
            watcher,
            told,
        ))),
        Err(error) => say!(
            exporter.logger,
            Warn,
            "Cannot watch the configuration file; looking at it at the interval only",
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

/// Watches the folders of the file and of what it is a link to. A mounted ConfigMap changes by a link, `..data`, that
/// stands beside the file and is replaced.
fn watcher(file: &Path, tell: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let target = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let names: Vec<_> = [file.file_name(), target.file_name()]
        .into_iter()
        .flatten()
        .map(OsStr::to_owned)
        .collect();
    let concerns = move |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        names.iter().any(|known| known == name) || name.as_encoded_bytes().starts_with(b"..")
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
    watcher.watch(folder(file), RecursiveMode::NonRecursive)?;
    if folder(&target) != folder(file) {
        watcher.watch(folder(&target), RecursiveMode::NonRecursive)?;
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
    file: PathBuf,
    watcher: RecommendedWatcher,
    mut told: mpsc::Receiver<()>,
) {
    // It stops watching when it is dropped.
    let _watcher = watcher;
    // A broken file is reported once, not at every event in its folder.
    let mut tried: Option<Checksum> = None;
    while told.recv().await.is_some() {
        for _ in 0..MOST_WAITS {
            sleep(QUIET).await;
            if told.try_recv().is_err() {
                break;
            }
        }
        let path = file.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read(path).ok().map(|text| checksum(&text)));
        let now = read.await.ok().flatten();
        let is_news = now.is_some() && now != tried && now != Some(exporter.store.current().checksum);
        if is_news {
            let _ = exporter.reload().await;
        }
        tried = now;
    }
}
