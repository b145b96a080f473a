//! The loaded configuration of a running exporter: modules, policy and targets as one value behind one pointer, exchanged as a
//! whole.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::load::{BUILT_IN, Checksum, Loaded, checksum, parse};
use super::sources::Sources;
use crate::config::files::disk::read;
use crate::config::files::targets::TargetsError;
use crate::config::{self, Invalid, LoadError, Problem};
use crate::net::policy::Policy;

/// Holds the set of modules that probes run with. Readers never wait; reloads wait for each other.
#[derive(Debug)]
pub struct Store {
    current: Arc<ArcSwap<Loaded>>,
    /// `None` when the built-in configuration is used.
    sources: Option<Sources>,
    /// The list of targets, when there is one.
    targets_file: Option<PathBuf>,
    status: Mutex<ReloadStatus>,
    /// Why the latest reload failed, if it did.
    trouble: Mutex<Option<Arc<str>>>,
    /// Held while reloading.
    reloading: Mutex<()>,
}

/// How the latest reloads ended.
#[derive(Clone, Copy, Debug)]
pub struct ReloadStatus {
    /// Whether the latest one succeeded.
    pub successful: bool,
    /// When the latest successful one was.
    pub succeeded_at: SystemTime,
}

/// What a successful reload did.
#[derive(Debug)]
pub enum Reload {
    /// The file, and what its references name, is loaded already. Logged as [`UNCHANGED`].
    Unchanged,
    /// The new configuration is in use. Logged as [`CHANGED`] before it is read.
    Changed {
        /// What loads but is probably not meant.
        warnings: Vec<Problem>,
    },
}

/// What messages call the built-in configuration.
const BUILT_IN_NAME: &str = "blackbox.yml";

/// The log line of a reload that found nothing new.
pub const UNCHANGED: &str = "Configuration checksum check passed. No changes detected.";
/// The log line of a reload that found another text, wrong or right.
pub const CHANGED: &str = "Configuration file change detected, reloading the configuration.";

impl Store {
    /// Loads the file for the first time.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with it.
    pub fn open(file: &Path) -> Result<Self, LoadError> {
        Self::open_all(Sources::file(file))
    }

    /// Loads several files for the first time.
    ///
    /// # Errors
    /// A file cannot be read, or everything that is wrong with them.
    fn open_all(sources: Sources) -> Result<Self, LoadError> {
        let loaded = sources.parse(sources.read()?)?;
        Ok(Self::with(loaded, Some(sources)))
    }

    /// Loads what is named, or what is compiled in.
    ///
    /// # Errors
    /// A file cannot be read, or everything that is wrong with them.
    pub fn open_or_built_in(sources: Option<Sources>) -> Result<Self, LoadError> {
        sources.map_or_else(Self::built_in, Self::open_all)
    }

    /// The configuration that is compiled in.
    ///
    /// # Errors
    /// None, as a test shows.
    pub fn built_in() -> Result<Self, LoadError> {
        Ok(Self::with(parse(BUILT_IN, BUILT_IN_NAME)?, None))
    }

    /// A store of what was loaded already; it is reloaded from `sources`, if there are any.
    pub fn with(loaded: Loaded, sources: Option<Sources>) -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(loaded)),
            sources,
            targets_file: None,
            status: Mutex::new(ReloadStatus {
                successful: true,
                succeeded_at: SystemTime::now(),
            }),
            trouble: Mutex::default(),
            reloading: Mutex::new(()),
        }
    }

    /// Adds a targets file, which is read now and at every reload.
    ///
    /// # Errors
    /// It cannot be read, or everything that is wrong with it.
    pub fn with_targets(mut self, file: &Path) -> Result<Self, LoadError> {
        self.targets_file = Some(file.to_owned());
        match (
            self.read_targets()?,
            Arc::into_inner(self.current.swap(Arc::default())),
        ) {
            (Some((bytes, file)), Some(loaded)) => {
                let loaded = loaded.with_targets(bytes, file).map_err(LoadError::Targets)?;
                self.current.store(Arc::new(loaded));
            }
            // Somebody uses what is loaded already.
            _ => {
                self.read_again()?;
            }
        }
        Ok(self)
    }

    /// What is loaded now. A probe keeps what it began with, whatever is loaded meanwhile.
    pub fn current(&self) -> Arc<Loaded> {
        self.current.load_full()
    }

    /// The policy of what is loaded now: it changes with the modules, at the same moment.
    pub fn policy(&self) -> Policy {
        let current = Arc::clone(&self.current);
        Policy::new(Box::new(move |look| look(&current.load().config.policy)))
    }

    /// The targets file that reloads read.
    pub fn targets_file(&self) -> Option<&Path> {
        self.targets_file.as_deref()
    }

    /// The files that a reload would read now, which takes a look at the folders that are named.
    pub fn files(&self) -> Vec<PathBuf> {
        let config = self.sources.as_ref().map(Sources::files).unwrap_or_default();
        config.into_iter().chain(self.targets_file.clone()).collect()
    }

    /// The folders in which further files may appear.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.sources.as_ref().map(Sources::folders).unwrap_or_default()
    }

    /// The files of what is loaded, with their checksums, in the order of [`Self::files`].
    pub fn loaded_files(&self) -> Vec<(PathBuf, Checksum)> {
        let current = self.current.load();
        let targets = self.targets_file.clone().zip(current.targets_checksum);
        current.parts.iter().cloned().chain(targets).collect()
    }

    /// How the latest reloads ended.
    pub fn status(&self) -> ReloadStatus {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether files that cannot be used are left out.
    pub fn skips_broken(&self) -> bool {
        self.sources.as_ref().is_some_and(|sources| sources.skip_broken)
    }

    /// Why the latest reload failed, if it did: each problem with the line that it stands on.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the file again. A file that cannot be used leaves everything as it is. Reads and compiles: not for an async
    /// thread.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with it.
    pub fn reload(&self) -> Result<Reload, LoadError> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.read_again();
        let trouble = result.as_ref().err().map(|error| error.quoted().into());
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.successful = result.is_ok();
        if result.is_ok() {
            status.succeeded_at = SystemTime::now();
        }
        result
    }

    /// Both files are taken together, or neither: targets name modules.
    fn read_again(&self) -> Result<Reload, LoadError> {
        let current = self.current.load();
        let read = self.sources.as_ref().map(Sources::read).transpose()?;
        let own = match &read {
            Some(read) => read.checksum(),
            None => checksum(BUILT_IN.as_bytes()),
        };
        let targets = self.read_targets()?;
        let targets_checksum = targets.as_ref().map(|(bytes, _)| checksum(bytes));
        let is_same = own == current.checksum && targets_checksum == current.targets_checksum;
        if is_same && current.referenced.are_current() {
            return Ok(Reload::Unchanged);
        }
        let mut loaded = match (&self.sources, read) {
            (Some(sources), Some(read)) => sources.parse(read)?,
            _ => parse(BUILT_IN, BUILT_IN_NAME)?,
        };
        if let Some((bytes, file)) = targets {
            loaded = loaded.with_targets(bytes, file).map_err(LoadError::Targets)?;
        }
        let none = config::Policy::default();
        let has_lost_policy = loaded.config.policy == none && current.config.policy != none;
        // A file that cannot be read may be the one that has it.
        if has_lost_policy && !loaded.left_out.is_empty() {
            let warnings = loaded.warnings.into_iter();
            let message = "the policy in force is in none of the files that can be read";
            return Err(LoadError::Invalid(Invalid {
                file: self
                    .sources
                    .as_ref()
                    .map_or_else(String::new, |sources| sources.names.join(", ")),
                text: String::new(),
                problems: warnings.chain([Problem::new(None, message)]).collect(),
            }));
        }
        let mut warnings = loaded.warnings.clone();
        if has_lost_policy {
            let message = "the policy that was in force is in none of the files any more";
            warnings.push(Problem::new(None, message).with_help("from now on every target is probed"));
        }
        self.current.store(Arc::new(loaded));
        Ok(Reload::Changed { warnings })
    }

    fn read_targets(&self) -> Result<Option<(Vec<u8>, &Path)>, LoadError> {
        let Some(file) = self.targets_file.as_deref() else {
            return Ok(None);
        };
        match read(file) {
            Ok(bytes) => Ok(Some((bytes, file))),
            Err(source) => Err(LoadError::Targets(TargetsError::Unreadable {
                file: file.to_owned(),
                source,
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: &Path, text: &str) {
        std::fs::write(file, text).unwrap();
    }

    #[test]
    fn a_bad_file_keeps_the_old_modules() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("blackbox.yml");
        write(&file, "modules: {a: {prober: tcp}}\n");
        let store = Store::open(&file).unwrap();
        let first = store.status().succeeded_at;
        assert!(matches!(store.reload(), Ok(Reload::Unchanged)));
        assert!(store.status().succeeded_at >= first);

        write(&file, "modules: {a: {prober: pigeon}}\n");
        assert!(store.reload().is_err());
        assert!(!store.status().successful);
        assert!(store.current().modules.get("a").is_some());

        std::fs::remove_file(&file).unwrap();
        assert!(store.reload().is_err());

        // The old text again: nothing changed, and that is a success.
        write(&file, "modules: {a: {prober: tcp}}\n");
        assert!(matches!(store.reload(), Ok(Reload::Unchanged)));
        assert!(store.status().successful);

        let before = store.current();
        write(&file, "modules: {b: {prober: icmp}}\n");
        assert!(matches!(store.reload(), Ok(Reload::Changed { .. })));
        assert!(store.current().modules.get("a").is_none());
        assert!(before.modules.get("a").is_some(), "who has the old set keeps it");
    }

    #[test]
    fn a_policy_that_is_gone_is_missed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("blackbox.yml");
        let modules = "modules: {a: {prober: tcp}}\n";
        write(
            &file,
            &format!("{modules}policy: {{deny: {{networks: [127.0.0.0/8]}}}}\n"),
        );
        let store = Store::open(&file).unwrap();
        write(&file, modules);
        let Ok(Reload::Changed { warnings }) = store.reload() else {
            panic!("not loaded");
        };
        assert!(
            warnings[0].message.contains("the policy that was in force"),
            "{warnings:?}"
        );
    }

    /// A pipe, for example, has it once.
    #[test]
    fn the_configuration_is_read_once_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let (file, targets) = (
            directory.path().join("blackbox.yml"),
            directory.path().join("targets.yml"),
        );
        let text = "modules: {a: {prober: tcp}}\n";
        write(&file, text);
        write(&targets, "targets: [{name: x, address: y, module: a}]\n");
        let store = Store::open(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let store = store.with_targets(&targets).unwrap();
        assert_eq!(store.current().targets.targets.len(), 1);
        assert!(store.current().modules.get("a").is_some());
        write(&file, text);
        assert!(matches!(store.reload(), Ok(Reload::Unchanged)));
    }

    #[test]
    fn the_policy_changes_with_the_modules() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("blackbox.yml");
        write(&file, "modules: {a: {prober: tcp}}\n");
        let store = Store::open(&file).unwrap();
        let (policy, loopback) = (store.policy(), "127.0.0.1".parse().unwrap());
        assert!(policy.check_address(loopback).is_ok());
        write(
            &file,
            "modules: {b: {prober: tcp}}\npolicy: {deny: {networks: [127.0.0.0/8]}}\n",
        );
        store.reload().unwrap();
        assert!(policy.check_address(loopback).is_err());
        assert!(store.current().modules.get("b").is_some());
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = Store::open(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(
            error.ends_with("read /dev/zero: the file has more than 64 MiB"),
            "{error}"
        );
    }

    #[test]
    fn targets_are_taken_with_the_configuration_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let (file, targets) = (
            directory.path().join("blackbox.yml"),
            directory.path().join("targets.yml"),
        );
        write(&file, "modules: {a: {prober: tcp}}\n");
        let open = || Store::open(&file).unwrap().with_targets(&targets);
        assert!(
            open()
                .unwrap_err()
                .to_string()
                .starts_with("error reading targets file: open ")
        );
        write(&targets, "targets: [{name: x, address: y, module: b}]\n");
        let error = open().unwrap_err().to_string();
        assert!(
            error.starts_with("error parsing targets file: ") && error.contains("no module \"b\""),
            "{error}"
        );

        write(&targets, "targets: [{name: x, address: y, module: a}]\n");
        let store = open().unwrap();
        assert_eq!(store.current().targets.targets.len(), 1);
        assert!(matches!(store.reload(), Ok(Reload::Unchanged)));

        // The module goes away: neither file is taken before both fit.
        write(&file, "modules: {b: {prober: tcp}}\n");
        assert!(store.reload().is_err());
        assert!(store.current().modules.get("a").is_some());
        write(
            &targets,
            "targets: [{name: x, address: y, module: b}, {name: z, address: y, module: b}]\n",
        );
        assert!(matches!(store.reload(), Ok(Reload::Changed { .. })));
        assert_eq!(store.current().targets.targets.len(), 2);

        write(&targets, "targets: []\n");
        assert!(matches!(store.reload(), Ok(Reload::Changed { .. })));
        assert_eq!(store.current().targets.targets.len(), 0);
    }
}
