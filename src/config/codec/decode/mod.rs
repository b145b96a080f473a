//! From YAML nodes to configuration data, as go.yaml.in/yaml/v3 does it with `KnownFields(true)`, except that nothing
//! stops at the first mistake.

mod mappings;
mod problems;

use std::borrow::Cow;

use go_yaml::scalar::{self, Scalar};
use go_yaml::{Content, Document, Id};

use super::confidential::is_secret;
use super::problem::Problem;
use super::yaml_version::YamlVersion;
use crate::config::codec::environment::{self, Expanded, Purpose, ReferencedFiles};
use crate::config::codec::hints::Elsewhere;
use crate::config::codec::tree;

/// Reads one document.
pub(crate) struct Decoder<'d, 't> {
    document: &'d Document<'t>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    path: Vec<Step>,
    budget: Budget,
    /// The aliases that are being followed.
    aliases: Vec<Id>,
    /// Set when going on makes no sense.
    stopped: bool,
    version: YamlVersion,
    files: Vec<NamedFile>,
    options: Options,
    elsewhere: Elsewhere,
    /// What is being read, if references are replaced in it.
    purpose: Option<Purpose>,
    /// Values that were made of references since the module began.
    expanded: Vec<Expanded>,
    referenced: ReferencedFiles,
}

/// How a configuration is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Replace `${NAME}` and `${file:PATH}`.
    pub expand: bool,
    /// Who wrote it.
    pub author: Author,
}

/// Who wrote a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Author {
    /// Whoever runs the exporter: what it names is read.
    #[default]
    Operator,
    /// Anybody, as in the playground: it names no files and no variables, and is small.
    Untrusted,
}

/// A file that the configuration names, and where.
#[derive(Clone, Debug)]
pub struct NamedFile {
    /// Its name as written.
    pub file: String,
    /// Where it is named, without a message.
    pub place: Problem,
}

/// A step from a node to one below it.
#[derive(Clone, Copy)]
enum Step {
    Key(Id),
    Index(usize, Id),
}

/// What is said of a value that was made of references: no message quotes it.
pub(crate) const INVALID_REFERENCE: &str = "what the references in it stand for is not valid here";

/// Deepest nesting, aliases followed.
const MAX_DEPTH: usize = 400;

/// Maximum values in a configuration of an untrusted author.
const MOST_UNTRUSTED: usize = 5000;

impl<'d, 't> Decoder<'d, 't> {
    pub fn new(document: &'d Document<'t>) -> Self {
        Self {
            document,
            problems: Vec::new(),
            warnings: Vec::new(),
            path: Vec::new(),
            budget: Budget::default(),
            aliases: Vec::new(),
            stopped: false,
            version: YamlVersion::V3,
            files: Vec::new(),
            options: Options::default(),
            elsewhere: |_, _| None,
            purpose: None,
            expanded: Vec::new(),
            referenced: ReferencedFiles::default(),
        }
    }

    /// Reads a configuration in another manner.
    pub fn with(document: &'d Document<'t>, options: Options) -> Self {
        Self {
            options,
            ..Self::new(document)
        }
    }

    /// With hints about fields that belong elsewhere.
    pub fn hinting(mut self, elsewhere: Elsewhere) -> Self {
        self.elsewhere = elsewhere;
        self
    }

    /// With values that were made of references when the section was read that is amended.
    pub fn amending(mut self, expanded: impl Iterator<Item = Expanded>) -> Self {
        self.expanded.extend(expanded);
        self
    }

    /// What is shown of a value below what is being read, if it was made of references: no message quotes the value.
    pub fn shown(&self, below: &[&str]) -> Option<String> {
        let mut path = self.path_in_module();
        path.extend(below.iter().map(|name| tree::Step::Key((*name).to_owned())));
        let expanded = self.expanded.iter().find(|expanded| expanded.path == path);
        expanded.map(|expanded| expanded.shown.clone())
    }

    /// The values that were made of references since the last time.
    pub fn take_expanded(&mut self) -> Vec<Expanded> {
        std::mem::take(&mut self.expanded)
    }

    /// The files that references named so far.
    pub fn take_referenced(&mut self) -> ReferencedFiles {
        std::mem::take(&mut self.referenced)
    }

    /// Reads something in which references are replaced, or, without a purpose, are not.
    pub fn expanding<T>(&mut self, purpose: Option<Purpose>, read: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.purpose, purpose);
        let read = read(self);
        self.purpose = outer;
        read
    }

    /// What a text stands for.
    fn expand(&mut self, node: Id, text: &'d str) -> Option<Cow<'d, str>> {
        let Some(purpose) = self.purpose.filter(|_| self.options.expand) else {
            return Some(Cow::Borrowed(text));
        };
        if self.options.author == Author::Untrusted {
            if environment::has_reference(text) {
                let message = "${…} is replaced in the configuration of the exporter only";
                self.report(node, message, None);
                return None;
            }
            return Some(Cow::Borrowed(text));
        }
        match environment::expand(text, &mut self.referenced) {
            Ok(None) => Some(Cow::Borrowed(text)),
            Ok(Some(came_to)) => {
                let expanded = came_to.text.clone();
                let path = self.path_in_module();
                self.expanded.push(Expanded::new(path, text, came_to, purpose));
                Some(Cow::Owned(expanded))
            }
            Err(message) => {
                self.report(node, message, None);
                None
            }
        }
    }

    /// Reads a web configuration.
    pub fn of_web(document: &'d Document<'t>) -> Self {
        Self {
            version: YamlVersion::V2,
            ..Self::new(document)
        }
    }

    /// Whose rules count.
    pub fn version(&self) -> YamlVersion {
        self.version
    }

    /// The files that were named so far.
    pub fn take_files(&mut self) -> Vec<NamedFile> {
        std::mem::take(&mut self.files)
    }

    /// Notes a file's name that stands at `node`, if what is being read is one.
    pub fn note_file(&mut self, node: Id, file: &str) {
        // What is sent under a name of the user's is none, whatever the name.
        if self.purpose.is_some() {
            return;
        }
        let is_file = self.path.iter().rev().find_map(|step| match step {
            Step::Key(key) => self
                .document
                .text(*key)
                .map(|key| key.ends_with("_file") || key == "files"),
            Step::Index(..) => None,
        });
        if is_file == Some(true) && !file.is_empty() && self.options.author == Author::Untrusted {
            let message = "files can be named in the configuration of the exporter only";
            self.report(node, message, None);
        } else if is_file == Some(true) && !file.is_empty() {
            let place = self.problem(Some(self.document.node(node).at), None, String::new(), None);
            let file = file.to_owned();
            self.files.push(NamedFile { file, place });
        }
    }

    /// What was wrong, and what deserves a warning.
    pub fn finish(mut self) -> (Vec<Problem>, Vec<Problem>) {
        self.problems.sort_by_key(|p| p.at);
        (self.problems, self.warnings)
    }

    /// The document that is read.
    pub fn document(&self) -> &'d Document<'t> {
        self.document
    }

    /// Visits a node, or the one that it is an alias of.
    pub fn enter(&mut self, node: Id, visit: impl FnOnce(&mut Self, Id) -> bool) -> bool {
        let target = self.document.target(node);
        let aliased = target != node;
        if self.stopped {
            return false;
        }
        if self.budget.spend(self.aliases.len(), aliased) {
            self.stop(node, "document contains excessive aliasing");
            return false;
        }
        if self.options.author == Author::Untrusted && self.budget.steps > MOST_UNTRUSTED {
            self.stop(
                node,
                format!("more than {MOST_UNTRUSTED} values, those of aliases counted each time"),
            );
            return false;
        }
        if self.path.len() + self.aliases.len() > MAX_DEPTH {
            self.stop(node, "nested too deeply");
            return false;
        }
        if !aliased {
            return visit(self, node);
        }
        if self.aliases.contains(&node) {
            self.stop(node, "the value of this anchor contains itself");
            return false;
        }
        self.aliases.push(node);
        let good = visit(self, target);
        self.aliases.pop();
        good
    }

    /// The meaning of a scalar; what is wrong with it has been reported when there is none. `wanted` says what is
    /// expected instead of a list or a mapping.
    pub fn scalar(&mut self, node: Id, wanted: &str) -> Option<Scalar<'d>> {
        let document = self.document;
        let n = document.node(node);
        let Content::Scalar { text, plain } = &n.content else {
            self.mismatch(node, wanted);
            return None;
        };
        match scalar::resolve(n.tag.as_deref(), text, *plain) {
            Ok(meaning) => Some(meaning),
            Err(_) if self.is_in_secret() => {
                let tag = n.tag.as_deref().unwrap_or_default();
                self.report(node, format!("this value is no {tag}"), None);
                None
            }
            Err(message) => {
                self.report(node, message, None);
                None
            }
        }
    }

    /// Whether what is being read may be a secret: then no message quotes it.
    pub fn is_in_secret(&self) -> bool {
        self.path
            .iter()
            .any(|step| matches!(step, Step::Key(key) if self.document.text(*key).is_some_and(is_secret)))
    }

    /// The text of a scalar, whatever else it could mean; `None` for null and for what is no scalar.
    pub fn bytes(&mut self, node: Id) -> Option<Cow<'d, [u8]>> {
        match self.scalar(node, "text")? {
            Scalar::Null => None,
            Scalar::Bytes(bytes) => Some(Cow::Owned(bytes)),
            _ => match self.expand(node, self.document.text(node)?)? {
                Cow::Borrowed(text) => Some(Cow::Borrowed(text.as_bytes())),
                Cow::Owned(text) => Some(Cow::Owned(text.into_bytes())),
            },
        }
    }

    /// Like [`Decoder::bytes`], of what must be UTF-8.
    pub fn text(&mut self, node: Id) -> Option<Cow<'d, str>> {
        let text = match self.bytes(node)? {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        };
        if text.is_none() {
            self.report(node, "this !!binary value must be UTF-8 text here", None);
        }
        text
    }

    /// Reads what `parse` makes of a text; it says what is wrong with one of which it makes nothing, and what would be right.
    pub fn parsed<T>(
        &mut self,
        node: Id,
        place: &mut T,
        parse: impl FnOnce(&str) -> Result<T, (String, &'static str)>,
    ) -> bool {
        self.enter(node, |d, node| {
            let before = d.expanded.len();
            let Some(text) = d.text(node) else { return false };
            match parse(&text) {
                Ok(value) => *place = value,
                Err((_, help)) if d.expanded.len() > before => {
                    d.report(node, INVALID_REFERENCE, help);
                    return false;
                }
                Err((message, help)) => {
                    d.report(node, message, help);
                    return false;
                }
            }
            true
        })
    }

    /// The key below which what is being read stands.
    pub fn key_of_this(&self) -> Option<&'d str> {
        match self.path.last() {
            Some(Step::Key(key)) => self.document.text(*key),
            _ => None,
        }
    }
}

/// The work that aliases may cause: yaml.v3's rule against small texts that expand without end.
#[derive(Default)]
struct Budget {
    steps: usize,
    below_aliases: usize,
}

impl Budget {
    /// Counts a step; `true` when too many of them come from aliases.
    fn spend(&mut self, depth: usize, is_alias: bool) -> bool {
        self.steps += 1 + usize::from(is_alias);
        self.below_aliases += usize::from(depth > 0) + usize::from(is_alias);
        const LOW: usize = 400_000;
        const HIGH: usize = 4_000_000;
        let share = match self.steps {
            ..=LOW => 0.99,
            HIGH.. => 0.10,
            steps => 0.99 - 0.89 * ((steps - LOW) as f64 / (HIGH - LOW) as f64),
        };
        self.below_aliases > 100 && self.steps > 1000 && self.below_aliases as f64 / self.steps as f64 > share
    }
}
