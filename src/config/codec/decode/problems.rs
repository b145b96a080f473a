//! What is wrong with a configuration, and where in it.

use std::borrow::Cow;
use std::fmt::Write as _;

use go_yaml::scalar::{self, Scalar};
use go_yaml::{Content, Id, Position};

use super::{Decoder, Step};
use crate::config::codec::hints;
use crate::config::codec::problem::Problem;
use crate::config::codec::tree;

/// Most problems that are collected.
const MAX_PROBLEMS: usize = 200;

/// What would be right, if there is something to be said of it.
pub(crate) trait Help {
    fn text(self) -> Option<String>;
}

impl Help for Option<String> {
    fn text(self) -> Option<String> {
        self
    }
}

impl Help for String {
    fn text(self) -> Option<String> {
        Some(self)
    }
}

impl Help for &str {
    fn text(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl Decoder<'_, '_> {
    /// What is said of a place: of what is being read, or of the field below it.
    pub(super) fn problem(
        &self,
        at: Option<Position>,
        below: Option<&str>,
        message: String,
        help: impl Help,
    ) -> Problem {
        let (module, path) = self.place(below);
        Problem {
            file: None,
            at,
            module,
            path,
            message,
            help: help.text(),
        }
    }

    /// Warns about the value at `node`, which is being read.
    pub fn warn_here(&mut self, node: Id, message: impl Into<String>, help: impl Help) {
        let at = Some(self.document.node(node).at);
        let warning = self.problem(at, None, message.into(), help);
        let known = |other: &Problem| other.at == at && other.message == warning.message;
        if !self.warnings.iter().any(known) {
            self.warnings.push(warning);
        }
    }

    /// Reports a problem at a node.
    pub fn report(&mut self, node: Id, message: impl Into<String>, help: impl Help) {
        self.push(self.document.node(node).at, None, message.into(), help);
    }

    /// Reports a problem of a field of the section that stands at `node`: at its key, or where the section itself is
    /// named when the field is not there.
    pub fn report_field(&mut self, node: Id, field: &str, message: impl Into<String>, help: impl Help) {
        let entry = self.document.entry(node, field);
        let at = match (entry, self.path.last()) {
            (Some((at, _)), _) => at,
            (None, Some(Step::Key(key))) => self.document.node(*key).at,
            (None, Some(Step::Index(_, item))) => self.document.node(*item).at,
            (None, None) => self.document.node(node).at,
        };
        let below = entry.map(|_| field);
        self.push(at, below, message.into(), help);
    }

    /// Warns about a field of the section that stands at `node`.
    pub fn warn(&mut self, node: Id, field: &str, message: impl Into<String>, help: impl Help) {
        let at = self.document.entry(node, field).map(|(at, _)| at);
        let warning = self.problem(at, Some(field), message.into(), help);
        self.warnings.push(warning);
    }

    /// Takes back what was reported of this module in these words.
    pub fn withdraw(&mut self, message: &str) {
        let (module, _) = self.place(None);
        self.problems
            .retain(|problem| problem.module != module || problem.message != message);
    }

    /// Whether the section under examination was given a field of that name, or one that was taken for a misspelling of
    /// it: then its absence need not be reported as well.
    pub fn is_blamed(&self, field: &str) -> bool {
        let (module, path) = self.place(Some(field));
        let (_, here) = self.place(None);
        let suggestion = format!("did you mean {field:?}?");
        self.problems.iter().any(|p| {
            p.module == module
                && (p.path == path
                    || p.path.starts_with(&here)
                        && p.help.as_deref().is_some_and(|h| h.starts_with(&suggestion)))
        })
    }

    fn push(&mut self, at: Position, below: Option<&str>, message: String, help: impl Help) {
        if self.problems.len() >= MAX_PROBLEMS {
            self.stopped = true;
            return;
        }
        let problem = self.problem(Some(at), below, message, help);
        // An anchor's value is read once for each alias of it.
        let known = |p: &Problem| p.at == problem.at && p.message == problem.message;
        if !self.problems.iter().any(known) {
            self.problems.push(problem);
        }
    }

    pub(super) fn stop(&mut self, node: Id, message: impl Into<String>) {
        self.report(node, message, None);
        self.stopped = true;
    }

    /// The module and the path below it.
    fn place(&self, below: Option<&str>) -> (Option<String>, String) {
        let mut names = self.path.iter().map(|step| match step {
            Step::Key(key) => (self.document.text(*key).unwrap_or_default(), None),
            Step::Index(index, _) => ("", Some(*index)),
        });
        let in_modules = self.path.len() > 1
            && matches!(self.path.first(), Some(Step::Key(key)) if self.document.text(*key) == Some("modules"));
        let module = in_modules.then(|| names.nth(1).unwrap_or_default().0.to_owned());
        let mut path = String::new();
        for (name, index) in names.chain(below.map(|name| (name, None))) {
            match index {
                // Writing to a String cannot fail.
                Some(index) => {
                    let _ = write!(path, "[{index}]");
                }
                None => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
            }
        }
        (module, path)
    }

    /// The path below the module.
    pub(super) fn path_in_module(&self) -> Vec<tree::Step> {
        let steps = self.path.iter().skip(2).map(|step| match step {
            Step::Key(key) => tree::Step::Key(self.document.text(*key).unwrap_or_default().to_owned()),
            Step::Index(index, _) => tree::Step::Index(*index),
        });
        steps.collect()
    }

    /// The node is not of the wanted kind.
    pub fn mismatch(&mut self, node: Id, wanted: &str) {
        self.mismatch_with(node, wanted, None);
    }

    pub(super) fn mismatch_with(&mut self, node: Id, wanted: &str, help: Option<String>) {
        let n = self.document.node(node);
        let found = match &n.content {
            Content::Scalar { .. } if self.is_in_secret() => "something else".to_owned(),
            Content::Scalar { text, plain } => match scalar::resolve(n.tag.as_deref(), text, *plain) {
                Ok(Scalar::Text(_)) | Err(_) => format!("the text {:?}", brief(text)),
                Ok(Scalar::Null) => "nothing".to_owned(),
                Ok(Scalar::Bool(_)) => format!("the truth value {text}"),
                Ok(Scalar::Bytes(_)) => "bytes".to_owned(),
                Ok(Scalar::Timestamp(_)) => format!("the date {text}"),
                Ok(Scalar::Int(_) | Scalar::Uint(_) | Scalar::Float(_)) => {
                    format!("the number {}", brief(text))
                }
            },
            Content::Sequence(_) => "a list".to_owned(),
            Content::Mapping(_) => "a mapping".to_owned(),
            Content::Alias(_) => "an alias".to_owned(),
        };
        self.report(node, format!("expected {wanted}, found {found}"), help);
    }

    /// Reports a key that is no field of the section around it.
    pub fn unknown_field(&mut self, key: Id, name: &str, known: &[&'static str]) {
        let help = hints::help(name, known, self.elsewhere);
        self.report(key, format!("field {:?} not found", brief(name)), help);
    }
}

/// At most 40 characters of a text.
pub(super) fn brief(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()).into(),
        None => text.into(),
    }
}
