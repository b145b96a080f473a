//! Where a configuration comes from: a file as in the Go program, or (ours) several files, patterns and folders.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::load::{self, Checksum, Loaded, checksum, read};
use crate::config::{Invalid, LoadError, Options, OwnExposition, Position, Problem};

/// Where a configuration comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Files, folders, and names with `*`, `?` or `[…]`, in their order.
    pub names: Vec<String>,
    /// Leave files out that cannot be used, when there are others.
    pub skip_broken: bool,
    /// How they are read.
    pub options: Options,
}

/// The bytes of the files, read and not understood yet.
#[derive(Debug)]
pub struct Read {
    files: Vec<(PathBuf, io::Result<Vec<u8>>)>,
}

/// Where the configuration is when no file is named.
pub const DEFAULT_FILE: &str = "blackbox.yml";

impl Sources {
    /// The files of these names; without any, the default file, or `None` when that is not there either.
    // compat: upstream does not start without a file.
    pub fn named(names: Vec<String>) -> Option<Self> {
        let is_absent = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        if names.is_empty() && Path::new(DEFAULT_FILE).symlink_metadata().is_err_and(is_absent) {
            return None;
        }
        let default = || vec![DEFAULT_FILE.to_owned()];
        Some(Self {
            names: if names.is_empty() { default() } else { names },
            ..Self::default()
        })
    }

    /// A single file.
    pub fn file(file: &Path) -> Self {
        Self {
            names: vec![file.display().to_string()],
            ..Self::default()
        }
    }

    /// The files that there are now, and the folders in which others may come.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for name in &self.names {
            for file in named(name) {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        files
    }

    /// Reads every file.
    ///
    /// # Errors
    /// There is no file, or one cannot be read and must not be left out.
    pub fn read(&self) -> Result<Read, LoadError> {
        let mut files = Vec::new();
        for file in self.files() {
            let bytes = read(&file);
            files.push((file, bytes));
        }
        let none = || {
            let error = io::Error::new(io::ErrorKind::NotFound, "no file of that name");
            LoadError::unreadable(Path::new(&self.names.join(", ")), error)
        };
        if files.is_empty() {
            return Err(none());
        }
        let all_broken = files.iter().all(|(_, bytes)| bytes.is_err());
        let first_broken = files
            .iter()
            .find_map(|(file, bytes)| Some((file, bytes.as_ref().err()?)));
        if let Some((file, error)) = first_broken
            && (all_broken || !self.skip_broken)
        {
            let error = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            return Err(LoadError::unreadable(file, error));
        }
        Ok(Read { files })
    }

    /// Understands what was read.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn parse(&self, read: Read) -> Result<Loaded, LoadError> {
        let checksum = read.checksum();
        let parts = read.parts();
        let mut whole = Loaded::default();
        let mut places: BTreeMap<String, (String, Option<Position>)> = BTreeMap::new();
        let (mut broken, mut good): (Vec<Invalid>, usize) = (Vec::new(), 0);
        let is_single = read.files.len() == 1;
        for (file, bytes) in read.files {
            let name = file.display().to_string();
            let Ok(bytes) = bytes else {
                whole.left_out(&name, "it cannot be read");
                continue;
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let part = match load::parse_with(bytes, &name, self.options) {
                Ok(part) => part,
                Err(LoadError::Invalid(invalid)) if !is_single => {
                    broken.push(invalid);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let problems = whole.take_in(part, &name, &text, &mut places);
            if problems.is_empty() {
                good += 1;
            } else {
                broken.push(Invalid {
                    file: name,
                    text,
                    problems,
                });
            }
        }
        if self.skip_broken && good > 0 {
            for invalid in broken {
                let problem = invalid
                    .problems
                    .first()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                whole.left_out(&invalid.file, &problem);
            }
        } else if !broken.is_empty() {
            return Err(LoadError::several(broken));
        }
        whole.checksum = checksum;
        whole.parts = parts;
        Ok(whole)
    }
}

impl Read {
    /// What tells whether anything has changed.
    pub fn checksum(&self) -> Checksum {
        match self.files.as_slice() {
            [(_, Ok(bytes))] => checksum(bytes),
            files => {
                let mut all = Vec::new();
                for (file, bytes) in files {
                    all.extend_from_slice(file.as_os_str().as_encoded_bytes());
                    let own = bytes.as_ref().map_or(0, |bytes| checksum(bytes));
                    all.extend_from_slice(&own.to_le_bytes());
                }
                checksum(&all)
            }
        }
    }

    fn parts(&self) -> Vec<(PathBuf, Checksum)> {
        let sums = self.files.iter().map(|(file, bytes)| {
            let sum = bytes.as_ref().map_or(0, |bytes| checksum(bytes));
            (file.clone(), sum)
        });
        sums.collect()
    }
}

impl Loaded {
    /// Adds the modules and the policy of another file; what is there already is a problem.
    fn take_in(
        &mut self,
        part: Self,
        file: &str,
        text: &str,
        places: &mut BTreeMap<String, (String, Option<Position>)>,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        let source = crate::config::parse(text).source;
        for name in part.config.modules.keys() {
            let at = source.module(name);
            if let Some((other, there)) = places.get(name) {
                let there = there.map(|at| format!(":{at}")).unwrap_or_default();
                problems.push(Problem {
                    at,
                    module: Some(name.clone()),
                    path: String::new(),
                    message: format!("a module of this name is in {other}{there} already"),
                    help: Some("names of modules are unique across files".to_owned()),
                });
            }
        }
        let none = crate::config::Policy::default();
        if part.config.policy != none && self.config.policy != none {
            problems.push(Problem {
                at: None,
                module: None,
                path: "policy".to_owned(),
                message: "another file has a policy already".to_owned(),
                help: Some("one policy is for all modules: write it in one file".to_owned()),
            });
        }
        if !problems.is_empty() {
            return problems;
        }
        for name in part.config.modules.keys() {
            places.insert(name.clone(), (file.to_owned(), source.module(name)));
        }
        if part.config.policy != none {
            self.config.policy = part.config.policy;
        }
        // A block is for the modules of its file. Where they are shown together, those of the other files say it by themselves.
        if self.config.modules.is_empty() {
            self.config.exposition = part.config.exposition;
        }
        for (name, mut raw) in part.config.modules {
            if let Some(raw) = &mut raw
                && part.config.exposition != self.config.exposition
            {
                let holds = raw.exposition.within(part.config.exposition);
                Arc::make_mut(raw).exposition = OwnExposition::of(holds);
            }
            self.config.modules.insert(name, raw);
        }
        self.modules.extend(part.modules);
        self.warnings.extend(part.warnings);
        problems
    }

    fn left_out(&mut self, file: &str, why: &str) {
        self.broken_files += 1;
        self.warnings.push(Problem {
            at: None,
            module: None,
            path: String::new(),
            message: format!("{file} was left out: {why}"),
            help: None,
        });
    }
}

/// The files that a name stands for, in the order of their names.
fn named(name: &str) -> Vec<PathBuf> {
    let path = Path::new(name);
    let is_yaml = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("yml" | "yaml")) && !path.is_dir()
    };
    if path.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_yaml).collect();
        files.sort();
        return files;
    }
    if name.contains(['*', '?', '[']) && !path.exists() {
        return glob::glob(name)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|path| !path.is_dir())
            .collect();
    }
    vec![path.to_owned()]
}
