//! `--config.enable-auto-reload`: noticing a changed configuration or targets file.
//!
//! The system tells of changes where it can; a look at every interval, which is all that upstream does, catches the rest
//! (network file systems, exhausted watches).

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::blocking::threads_left;
use crate::config::files::disk::read_regular;
use crate::module::Store;
use crate::module::load::{Checksum, UNREAD, checksum};
use crate::probe_log::text;
use crate::say;
use crate::server::Exporter;

/// How long files must be left alone before they are read: editors write several times.
const QUIET: Duration = Duration::from_millis(200);

/// How often that may be put off for one change.
const MOST_WAITS: usize = 10;

/// How many links the kernel follows on the way to a file.
const MOST_LINKS: usize = 40;

/// Reloads at every interval, and as soon as the system tells of a change.
pub fn start(exporter: &Arc<Exporter>, interval: Duration) {
    if exporter.store.files().is_empty() {
        return;
    }
    tokio::spawn(reload_at_interval(Arc::clone(exporter), interval));
    let (tell, told) = mpsc::channel(1);
    let news = News {
        tell,
        written: Arc::default(),
    };
    match watcher(&exporter.store, news.clone()) {
        Ok(watcher) => drop(tokio::spawn(reload_when_told(
            Arc::clone(exporter),
            watcher,
            (news, told),
            interval,
        ))),
        Err(error) => say!(
            exporter.logger,
            Warn,
            "Cannot watch the configuration file; checking it at the interval only",
            "err" => text(unwatched(&error)),
        ),
    }
}

/// Why the system cannot tell: its limits are not those of open files and disks, whose errors it uses.
fn unwatched(error: &notify::Error) -> String {
    let limit = match &error.kind {
        notify::ErrorKind::Io(error) if error.raw_os_error() == Some(libc::EMFILE) => "max_user_instances",
        notify::ErrorKind::MaxFilesWatch => "max_user_watches",
        _ => return error.to_string(),
    };
    format!("{error}; raise fs.inotify.{limit} (sysctl)")
}

/// What the system tells.
#[derive(Clone)]
struct News {
    /// Something has changed.
    tell: mpsc::Sender<()>,
    /// Files that are being written: a part of one may be valid, and lack what stands at its end, such as the policy.
    written: Arc<Mutex<HashSet<PathBuf>>>,
}

impl News {
    fn add(&self, event: Event) {
        {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            match event.kind {
                EventKind::Modify(ModifyKind::Data(_)) => written.extend(event.paths),
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Modify(ModifyKind::Name(_))
                | EventKind::Remove(_) => written.retain(|path| !event.paths.contains(path)),
                EventKind::Access(_) => return,
                _ => {}
            }
        }
        self.tell();
    }

    fn tell(&self) {
        // Full means that it is known already.
        let _ = self.tell.try_send(());
    }

    /// Whether nobody writes, so far as is known.
    fn is_settled(&self) -> bool {
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Nobody need close what was written so far.
    fn settle(&self) {
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
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

/// Watches the folders of the files, of what they are links to, and of the links on the way. A mounted ConfigMap changes by a link,
/// `..data`, that stands beside the file and is replaced; a release by one above it. In folders that are listed, every file that is
/// not hidden counts.
fn watcher(store: &Store, news: News) -> notify::Result<RecommendedWatcher> {
    // Events have absolute paths.
    let absolute = |paths: Vec<PathBuf>| {
        let paths = paths.into_iter().map(std::path::absolute);
        paths.collect::<io::Result<Vec<_>>>().map_err(notify::Error::io)
    };
    let (files, listed) = (absolute(store.files())?, absolute(store.folders())?);
    let targets = files.iter().filter_map(|file| file.canonicalize().ok());
    let paths: Vec<PathBuf> = files.iter().cloned().chain(targets).collect();
    let links: Vec<PathBuf> = files.iter().chain(&listed).flat_map(|path| links(path)).collect();
    let names: BTreeSet<_> = paths
        .iter()
        .chain(&links)
        .filter_map(|path| path.file_name())
        .map(OsStr::to_owned)
        .collect();
    let folders = paths.iter().filter_map(|path| path.parent()).map(Path::to_owned);
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
    // notify itself panics at the first folder when the system has no thread left for it.
    threads_left(1).map_err(notify::Error::io)?;
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
        Ok(event) if event.paths.iter().any(&concerns) => news.add(event),
        Ok(event) if !event.need_rescan() => {}
        // Where events were lost, it is better to look.
        _ => {
            news.settle();
            news.tell();
        }
    })?;
    for folder in folders {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    for folder in links.iter().filter_map(|link| link.parent()) {
        // It can be passed through without being readable.
        let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
    }
    Ok(watcher)
}

/// The links on the way to a file.
fn links(file: &Path) -> Vec<PathBuf> {
    let (mut links, mut way) = (Vec::new(), file.to_owned());
    // A loop leads nowhere.
    while links.len() < MOST_LINKS {
        let mut prefixes: Vec<&Path> = way.ancestors().collect();
        prefixes.reverse();
        let link = prefixes
            .into_iter()
            .find_map(|prefix| Some((prefix, prefix.read_link().ok()?)));
        let Some((link, target)) = link else { break };
        let rest = way.strip_prefix(link).unwrap_or(Path::new(""));
        let next = link.parent().unwrap_or(Path::new("/")).join(target);
        // Nothing is joined to the file itself, not even a slash.
        let next = match rest == Path::new("") {
            true => next,
            false => next.join(rest),
        };
        links.push(link.to_owned());
        way = next;
    }
    links
}

async fn reload_when_told(
    exporter: Arc<Exporter>,
    mut watcher: RecommendedWatcher,
    (news, mut told): (News, mpsc::Receiver<()>),
    interval: Duration,
) {
    // A broken file is reported once, not at every event in its folder.
    let mut tried: Option<Vec<(PathBuf, Checksum)>> = None;
    while told.recv().await.is_some() {
        let (begin, mut waits) = (Instant::now(), 0);
        loop {
            sleep(QUIET).await;
            waits += 1;
            let is_quiet = told.try_recv().is_err() || waits >= MOST_WAITS;
            // At the interval it is read anyway.
            if is_quiet && news.is_settled() || begin.elapsed() >= interval {
                break;
            }
        }
        news.settle();
        let (looking, news) = (Arc::clone(&exporter), news.clone());
        let read = tokio::task::spawn_blocking(move || {
            // Links may lead elsewhere now. Watched before it is read, nothing is missed.
            let again = self::watcher(&looking.store, news).ok();
            let skips_broken = looking.store.skips_broken();
            let sum_of = |file: PathBuf| {
                let sum = match read_regular(&file) {
                    Ok(bytes) => checksum(&bytes),
                    Err(_) if skips_broken => UNREAD,
                    Err(_) => return None,
                };
                Some((file, sum))
            };
            // Nothing when one of them cannot be read now: it may be about to be replaced.
            let now: Option<Vec<_>> = looking.store.files().into_iter().map(sum_of).collect();
            // What is loaded was repaired to it, if the latest reload failed: then another one says so.
            let is_news =
                |now: &Vec<_>| !looking.store.status().successful || *now != looking.store.loaded_files();
            let is_news = now.as_ref().is_some_and(is_news);
            (now, is_news, again)
        });
        let (now, is_news, again) = read.await.unwrap_or_default();
        // The one before stops watching when it is dropped.
        watcher = again.unwrap_or(watcher);
        if is_news && now != tried {
            let _ = exporter.reload().await;
        }
        tried = now;
    }
}
