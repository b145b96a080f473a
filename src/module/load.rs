//! From a configuration file to modules that are ready to run, or to everything that is wrong with it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::variants::Variants;
use super::{ModuleProblem, Modules, ParamInput, Problems, files};
use crate::config::files::targets::{Target, Targets, TargetsError};
use crate::config::{self, Config, Invalid, LoadError, Options, Parsed, ReferencedFiles};

/// The configuration that is compiled in: the `blackbox.yml` of this repository.
pub const BUILT_IN: &str = include_str!("../../blackbox.yml");

/// A configuration, read and compiled.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What the user wrote, for `/config`.
    pub config: Config,
    /// Ready to run.
    pub modules: Modules,
    /// What loads but is probably not meant.
    pub warnings: Vec<config::Problem>,
    /// The checksum of the file, or of all of them.
    pub checksum: Checksum,
    /// The files, and the checksum of each; empty for what is compiled in.
    pub parts: Vec<(PathBuf, Checksum)>,
    /// The files that references name, those of files that were left out too.
    pub referenced: ReferencedFiles,
    /// The files that were left out because something is wrong with them, and what.
    pub left_out: Vec<String>,
    /// What `/targets` answers; all of them have their module here.
    pub targets: Targets,
    /// The checksum of the targets file, when there is one.
    pub targets_checksum: Option<Checksum>,
    /// Made when somebody asks for it.
    text: OnceLock<Arc<str>>,
}

impl Loaded {
    /// The configuration with defaults and without secrets, as `/config` shows it: one text for all who read it.
    pub fn text(&self) -> Arc<str> {
        let text = || config::write::config(&self.config).into();
        Arc::clone(self.text.get_or_init(text))
    }

    /// Adds the targets of a targets file.
    ///
    /// # Errors
    /// Everything that is wrong with it, modules that are not in the configuration too.
    pub fn with_targets(mut self, bytes: Vec<u8>, file: &Path) -> Result<Self, TargetsError> {
        let invalid = |problems| TargetsError::Invalid {
            file: file.to_owned(),
            problems,
        };
        self.targets_checksum = Some(checksum(&bytes));
        let text = config::decode_text(bytes).map_err(|problem| invalid(vec![*problem]))?;
        self.targets = Targets::parse(&text).map_err(invalid)?;
        let mut unknown = self
            .targets
            .unknown_modules(self.config.modules.keys().map(String::as_str));
        unknown.extend(
            self.targets
                .targets
                .iter()
                .filter_map(|target| self.wrong_param(target)),
        );
        if unknown.is_empty() {
            let name = || Some(file.display().to_string());
            let clashes = self.clashes();
            let warnings = self.targets.warnings().into_iter().chain(clashes);
            self.warnings.extend(warnings.map(|warning| config::Problem {
                file: name(),
                ..warning
            }));
            Ok(self)
        } else {
            Err(invalid(unknown))
        }
    }

    /// What is wrong with the parameters of a target.
    fn wrong_param(&self, target: &Target) -> Option<config::Problem> {
        let module = self.modules.get(target.module())?;
        let given = |name: &str| ParamInput::from(target.params.get(name));
        let message = match &module.params {
            Some(params) => match target.params.keys().find(|name| !params.has(name)) {
                Some(name) => format!("the module {:?} has no parameter {name:?}", &*module.name),
                None => {
                    let refused = params.apply(module, given).err()?;
                    format!("parameter {:?}: {}", refused.param, refused.reason)
                }
            },
            None if target.params.is_empty() => return None,
            None => format!("the module {:?} has no params", &*module.name),
        };
        let message = format!("target {:?}: {message}", target.name);
        Some(config::Problem::new(Some(target.at), message))
    }
}

/// What tells whether a configuration file has changed; it means nothing to another process.
pub type Checksum = u64;

/// That of a file that cannot be read and is left out.
pub const UNREAD: Checksum = 0;

/// The checksum of a configuration file's bytes.
pub fn checksum(bytes: &[u8]) -> Checksum {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Loads a configuration from the bytes of a file; `name` is for messages.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(bytes: impl Into<Vec<u8>>, name: &str) -> Result<Loaded, LoadError> {
    parse_with(bytes, name, Options::default())
}

/// Loads a configuration from the bytes of a file in another manner.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_with(bytes: impl Into<Vec<u8>>, name: &str, options: Options) -> Result<Loaded, LoadError> {
    let bytes = bytes.into();
    let checksum = checksum(&bytes);
    let mut common = Common::default();
    let (loaded, _) = parse_text(&text_of(bytes, name)?, name, options, &mut common)?;
    Ok(Loaded {
        checksum,
        referenced: common.referenced,
        ..loaded
    })
}

/// The text of a configuration file.
pub(super) fn text_of(bytes: Vec<u8>, name: &str) -> Result<String, LoadError> {
    config::decode_text(bytes.clone()).map_err(|problem| {
        LoadError::Invalid(Invalid {
            file: name.to_owned(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            problems: vec![*problem],
        })
    })
}

/// What the files of one configuration have in common.
#[derive(Debug, Default)]
pub(super) struct Common {
    /// The files that references name, also if something is wrong with the file that has them.
    pub(super) referenced: ReferencedFiles,
    /// The modules that are made of parameters.
    variants: Arc<Variants>,
}

/// Loads a configuration from a text, without its checksum; and where things stand in it.
pub(super) fn parse_text<'t>(
    text: &'t str,
    name: &str,
    options: Options,
    common: &mut Common,
) -> Result<(Loaded, config::Source<'t>), LoadError> {
    let mut parsed = config::parse_with(text, options);
    common.referenced.extend(std::mem::take(&mut parsed.referenced));
    let problems = &mut Problems::of(options.author).keeping(&common.variants);
    let modules = compile(&mut parsed, text, problems);
    let problems = parsed.problems;
    if !problems.is_empty() {
        return Err(LoadError::Invalid(Invalid {
            file: name.to_owned(),
            text: text.to_owned(),
            problems,
        }));
    }
    let mut warnings = parsed.warnings;
    warnings.extend(files::warnings(parsed.files));
    let loaded = Loaded {
        config: parsed.config,
        modules,
        warnings,
        ..Loaded::default()
    };
    Ok((loaded, parsed.source))
}

/// The modules of what was read; what cannot be compiled is added to its problems, and what cannot work to its warnings.
pub(super) fn compile(parsed: &mut Parsed<'_>, text: &str, problems: &mut Problems) -> Modules {
    let modules = Modules::compile(&parsed.config, problems);
    let warned = problems.warned.drain(..);
    let warnings = warned.map(|warning| placed(warning, &parsed.source, text));
    parsed.warnings.extend(warnings);
    parsed.warnings.sort_by_key(|warning| warning.at);
    modules.unwrap_or_else(|found| {
        let problems = &mut parsed.problems;
        let known = problems
            .iter()
            .filter_map(|p| Some((p.module.clone()?, p.path.clone())));
        let mut known: HashSet<(String, String)> = known.collect();
        for problem in found {
            // What the reader found wrong already need not be said twice.
            if known.insert((problem.module.clone(), problem.path.clone())) {
                problems.push(placed(problem, &parsed.source, text));
            }
        }
        problems.sort_by_key(|p| p.at);
        Modules::default()
    })
}

fn placed(problem: ModuleProblem, source: &config::Source<'_>, text: &str) -> config::Problem {
    let within = problem
        .within
        .and_then(|place| source.locate_within(text, &problem.module, &problem.path, place));
    config::Problem {
        file: None,
        at: within.or_else(|| source.locate(&problem.module, &problem.path)),
        module: Some(problem.module),
        path: problem.path,
        message: problem.message,
        help: problem.help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_configuration_loads() {
        let loaded = parse(BUILT_IN, "built-in").unwrap();
        assert!(loaded.modules.get("http_2xx").is_some());
    }

    #[test]
    fn problems_of_compiling_get_their_place() {
        let text =
            "modules:\n  m:\n    prober: http\n    http:\n      fail_if_body_matches_regexp: [~, a, b]\n";
        let parsed = config::parse(text);
        let at = |path| parsed.source.locate("m", path).map(|at| (at.line, at.column));
        assert_eq!(at("http.fail_if_body_matches_regexp[1]"), Some((5, 43)));
        assert_eq!(at("http.nothing"), Some((4, 5)));
        assert_eq!(at("nothing"), Some((2, 3)));
        assert_eq!(parsed.source.locate("other", "x"), None);
    }
}
