//! Where a configuration comes from: a file as in upstream, or (ours) several files, patterns and folders.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::load::{self, Checksum, Common, Loaded, UNREAD, checksum};
use crate::config::files::disk::{self, read};
use crate::config::yaml::Document;
use crate::config::{self, Invalid, LoadError, Options, OwnExposition, Position, Problem};
use crate::net::dial::SystemError;

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
pub struct ReadSources {
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

    /// The folders in which further files may appear: those that are named, and those of patterns without a pattern for the folder.
    pub fn folders(&self) -> Vec<PathBuf> {
        let folder_of = |name: &String| {
            let path = Path::new(name);
            if path.is_dir() {
                return Some(path.to_owned());
            }
            let folder = path.parent().filter(|_| is_pattern(name))?;
            let folder = if folder == Path::new("") {
                Path::new(".")
            } else {
                folder
            };
            folder.is_dir().then(|| folder.to_owned())
        };
        self.names.iter().filter_map(folder_of).collect()
    }

    /// The files that there are now.
    pub fn files(&self) -> Vec<PathBuf> {
        let found = self.found();
        found.into_iter().map(|(file, _)| file).collect()
    }

    /// The same, each once, and how each was found.
    fn found(&self) -> Vec<(PathBuf, How)> {
        let mut seen = HashSet::new();
        let all = self.names.iter().flat_map(|name| named(name));
        all.filter(|(file, _)| seen.insert(file.clone())).collect()
    }

    /// Reads every file.
    ///
    /// # Errors
    /// There is no file, or one cannot be read and must not be left out.
    pub fn read(&self) -> Result<ReadSources, LoadError> {
        let mut files = Vec::new();
        let mut room = disk::MOST_MIB << 20;
        for (file, how) in self.found() {
            let is_listed = matches!(how, How::Listed);
            let bytes = match how {
                How::Named => read(&file),
                How::Listed => disk::read_regular(&file),
                How::Unusable(error) => Err(error),
            };
            // It was taken away since the folder was looked at.
            let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
            if is_listed
                && bytes.as_ref().is_err_and(is_gone)
                && file.symlink_metadata().is_err_and(|error| is_gone(&error))
            {
                continue;
            }
            let length = bytes.as_ref().map_or(0, Vec::len) as u64;
            let Some(left) = room.checked_sub(length) else {
                let message = format!("all files have more than {} MiB together", disk::MOST_MIB);
                let error = io::Error::new(io::ErrorKind::FileTooLarge, message);
                return Err(LoadError::unreadable(&file, error));
            };
            room = left;
            files.push((file, bytes));
        }
        if files.is_empty() {
            return Err(self.without_files());
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
        Ok(ReadSources { files })
    }

    /// The error where there are no files.
    pub fn without_files(&self) -> LoadError {
        let message = match self.names.iter().all(|name| Path::new(name).is_dir()) {
            true => "the folder has no *.yml or *.yaml file",
            false => "no file of that name",
        };
        let error = io::Error::new(io::ErrorKind::NotFound, message);
        LoadError::unreadable(Path::new(&self.names.join(", ")), error)
    }

    /// Understands what was read.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn parse(&self, read: ReadSources) -> Result<Loaded, LoadError> {
        let checksum = read.checksum();
        let parts = read.parts();
        let mut whole = Loaded::default();
        let mut places: BTreeMap<String, (String, Option<Position>)> = BTreeMap::new();
        let (mut broken, mut good): (Vec<Invalid>, usize) = (Vec::new(), 0);
        let mut common = Common::default();
        let is_single = read.files.len() == 1;
        for (file, bytes) in read.files {
            let name = file.display().to_string();
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    whole.left_out(&name, &format!("it cannot be read: {}", SystemError(&error)));
                    continue;
                }
            };
            let part = load::text_of(bytes, &name).and_then(|text| {
                let (part, source) = load::parse_text(&text, &name, self.options, &mut common)?;
                if is_single {
                    whole = part;
                    return Ok(());
                }
                let problems = whole.take_in(part, &name, &source, &mut places);
                if problems.is_empty() {
                    return Ok(());
                }
                Err(LoadError::Invalid(Invalid {
                    file: name,
                    text,
                    problems,
                }))
            });
            match part {
                Ok(()) => good += 1,
                Err(LoadError::Invalid(invalid)) if !is_single => broken.push(invalid),
                Err(error) => return Err(error),
            }
        }
        // What keeps probes from targets must not go unnoticed.
        let mut skips = self.skip_broken && good > 0;
        for invalid in &mut broken {
            if skips && may_hold_policy(&invalid.text) {
                let message = "the file is not skipped because it has a policy";
                invalid.problems.push(Problem::new(None, message));
                skips = false;
            }
        }
        if skips {
            for invalid in broken {
                let problem = invalid
                    .problems
                    .first()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                whole.left_out(&invalid.file, &problem);
            }
        } else if !broken.is_empty() {
            return Err(LoadError::Several(broken));
        }
        whole.checksum = checksum;
        whole.parts = parts;
        whole.referenced = common.referenced;
        Ok(whole)
    }
}

impl ReadSources {
    /// What tells whether anything has changed.
    pub fn checksum(&self) -> Checksum {
        match self.files.as_slice() {
            [(_, Ok(bytes))] => checksum(bytes),
            files => {
                let mut all = Vec::new();
                for (file, bytes) in files {
                    all.extend_from_slice(file.as_os_str().as_encoded_bytes());
                    let own = bytes.as_ref().map_or(UNREAD, |bytes| checksum(bytes));
                    all.extend_from_slice(&own.to_le_bytes());
                }
                checksum(&all)
            }
        }
    }

    fn parts(&self) -> Vec<(PathBuf, Checksum)> {
        let sums = self.files.iter().map(|(file, bytes)| {
            let sum = bytes.as_ref().map_or(UNREAD, |bytes| checksum(bytes));
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
        source: &config::Source<'_>,
        places: &mut BTreeMap<String, (String, Option<Position>)>,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        for name in part.config.modules.keys() {
            let at = source.module(name);
            if let Some((other, there)) = places.get(name) {
                let there = there.map(|at| format!(":{at}")).unwrap_or_default();
                problems.push(Problem {
                    module: Some(name.clone()),
                    ..Problem::new(at, format!("already defined in {other}{there}"))
                        .with_help("module names must be unique across files")
                });
            }
        }
        let none = config::Policy::default();
        if part.config.policy != none && self.config.policy != none {
            problems.push(Problem {
                path: "policy".to_owned(),
                ..Problem::new(None, "another file already has a policy")
                    .with_help("the policy applies to all modules: write it in one file")
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
        let warnings = part.warnings.into_iter().map(|warning| Problem {
            file: Some(file.to_owned()),
            ..warning
        });
        self.warnings.extend(warnings);
        problems
    }

    fn left_out(&mut self, file: &str, why: &str) {
        let message = format!("{file} was skipped: {why}");
        self.warnings.push(Problem::new(None, message.as_str()));
        self.left_out.push(message);
    }
}

/// Whether the text has a policy, or may have one if it is no YAML.
fn may_hold_policy(text: &str) -> bool {
    match Document::parse(text) {
        Ok(Some(document)) => document.entry(document.root(), "policy").is_some(),
        Ok(None) => false,
        Err(_) => text.contains("policy"),
    }
}

/// How a file was found.
#[derive(Debug)]
enum How {
    /// By its name.
    Named,
    /// In a folder, or by a pattern.
    Listed,
    /// Not: it is a folder that cannot be listed, or no pattern.
    Unusable(io::Error),
}

/// The files that a name stands for, in the order of their names.
fn named(name: &str) -> Vec<(PathBuf, How)> {
    let path = Path::new(name);
    let unusable = |error| vec![(path.to_owned(), How::Unusable(error))];
    let listed = |files: Vec<PathBuf>| files.into_iter().map(|file| (file, How::Listed)).collect();
    if path.is_dir() {
        return match folder(path) {
            Ok(files) => listed(files),
            Err(error) => unusable(error),
        };
    }
    if is_pattern(name) {
        return match pattern(name) {
            Ok(files) => listed(files),
            Err(error) => unusable(error),
        };
    }
    vec![(path.to_owned(), How::Named)]
}

/// Whether a name means the files that match it. A file of that very name comes first.
fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[']) && !Path::new(name).exists()
}

/// The `.yml` and `.yaml` files of a folder, except hidden ones: editors keep theirs there.
fn folder(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().as_encoded_bytes();
        let is_yaml = name.ends_with(b".yml") || name.ends_with(b".yaml");
        if is_yaml && !is_hidden(&file) && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// The files that match a pattern.
fn pattern(name: &str) -> io::Result<Vec<PathBuf>> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidInput, message);
    if name.contains("**") {
        // It would follow links, and with two links in a circle have no end.
        return Err(invalid("a pattern cannot have **: name the folders".to_owned()));
    }
    let found = glob::glob(name).map_err(|error| invalid(format!("not a pattern: {error}")))?;
    let mut files = Vec::new();
    for file in found {
        let file = file.map_err(io::Error::from)?;
        // As for the shell, hidden files and folders are those of patterns that name them so.
        let (ours, theirs) = (file.components().rev(), Path::new(name).components().rev());
        let is_named = ours.zip(theirs).all(|(part, wanted)| {
            let [part, wanted] = [part, wanted].map(|part| Path::new(part.as_os_str()));
            !is_hidden(part) || is_hidden(wanted)
        });
        if is_named && !file.is_dir() {
            files.push(file);
        }
    }
    Ok(files)
}

fn is_hidden(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}
