//! From YAML nodes to configuration data, as go.yaml.in/yaml/v3 does it with `KnownFields(true)`, except that nothing
//! stops at the first mistake.

use std::borrow::Cow;
use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::fmt::Write as _;

use super::confidential::is_secret;
use super::environment;
use super::hints::hint;
use super::problem::Problem;
use super::section::Section;
use super::yaml::scalar::{self, Scalar};
use super::yaml::{Content, Document, Id, Position};

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
    reader: Reader,
    files: Vec<NamedFile>,
    options: Options,
    /// Values that were made of references, and what was written, since the module began.
    expanded: Vec<(String, String)>,
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

/// Which of Go's readers is followed where they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// go.yaml.in/yaml/v3.
    V3,
    /// go.yaml.in/yaml/v2, which reads the web configuration: a text in quotes is no truth value, null is the zero value, and
    /// `<<` may stand several times and is taken in where it stands.
    V2,
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

/// Keys that a mapping has before `<<` adds others.
type Taken = HashSet<Vec<u8>>;

/// What is done with each entry of a mapping: its key, the key's text, and its value.
type Each<'e, 'd, 't> = dyn FnMut(&mut Decoder<'d, 't>, Id, Cow<'d, str>, Id) + 'e;

/// Mappings up to this size are searched for duplicates without a table.
const FEW: usize = 16;

/// Deepest nesting, aliases followed.
const MAX_DEPTH: usize = 400;

/// Maximum values in a configuration of an untrusted author.
const MOST_UNTRUSTED: usize = 5000;

/// Most problems that are collected.
const MAX_PROBLEMS: usize = 200;

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
            reader: Reader::V3,
            files: Vec::new(),
            options: Options::default(),
            expanded: Vec::new(),
        }
    }

    /// Reads a configuration in another manner.
    pub fn with(document: &'d Document<'t>, options: Options) -> Self {
        Self {
            options,
            ..Self::new(document)
        }
    }

    /// The values that were made of references since the last time.
    pub fn take_expanded(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.expanded)
    }

    /// What a text stands for.
    fn expand(&mut self, node: Id, text: &'d str) -> Option<Cow<'d, str>> {
        let document = self.document;
        let is_expanded = self.options.expand
            && text.contains("${")
            && self.path.iter().any(|step| {
                matches!(step, Step::Key(key) if document.text(*key).is_some_and(environment::is_expanded))
            });
        if !is_expanded {
            return Some(Cow::Borrowed(text));
        }
        if self.options.author == Author::Untrusted {
            if environment::has_reference(text) {
                let message = "${…} is replaced in the configuration of the exporter only";
                self.report(node, message, None);
                return None;
            }
            return Some(Cow::Borrowed(text));
        }
        match environment::expand(text) {
            Ok(None) => Some(Cow::Borrowed(text)),
            Ok(Some(expanded)) => {
                self.expanded.push((expanded.clone(), text.to_owned()));
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
            reader: Reader::V2,
            ..Self::new(document)
        }
    }

    /// Whose rules count.
    pub fn reader(&self) -> Reader {
        self.reader
    }

    /// The files that were named so far.
    pub fn take_files(&mut self) -> Vec<NamedFile> {
        std::mem::take(&mut self.files)
    }

    /// Notes a file's name that stands at `node`, if what is being read is one.
    pub fn note_file(&mut self, node: Id, file: &str) {
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

    /// What is said of a place: of what is being read, or of the field below it.
    fn problem(
        &self,
        at: Option<Position>,
        below: Option<&str>,
        message: String,
        help: impl Help,
    ) -> Problem {
        let (module, path) = self.place(below);
        Problem {
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
            let Some(text) = d.text(node) else { return false };
            match parse(&text) {
                Ok(value) => *place = value,
                Err((message, help)) => {
                    d.report(node, message, help);
                    return false;
                }
            }
            true
        })
    }

    /// Reads a section: its fields, its rules.
    pub fn section<S: Section>(&mut self, node: Id, place: &mut S) -> bool {
        self.enter(node, |d, node| {
            if d.document.is_null(node) {
                return false;
            }
            d.map(node, &mut None, &mut |d, key, name, value| {
                if !place.field(&name, value, d) {
                    d.unknown_field::<S>(key, &name);
                }
            });
            place.judge(node, d);
            true
        })
    }

    /// Reads a mapping whose keys are the user's; `each` gets key and value.
    pub fn mapping(&mut self, node: Id, each: &mut dyn FnMut(&mut Self, String, Id)) {
        self.map(node, &mut None, &mut |d, _, name, value| {
            each(d, name.into_owned(), value)
        });
    }

    fn map(&mut self, node: Id, taken: &mut Option<Taken>, each: &mut Each<'_, 'd, 't>) {
        let document = self.document;
        let Content::Mapping(entries) = &document.node(node).content else {
            return self.mismatch(node, "a mapping");
        };
        if self.has_duplicates(entries) {
            return;
        }
        let mut merge = None;
        for (key, value) in entries {
            if document.is_merge(*key) {
                match self.reader {
                    Reader::V3 => merge = Some(*value),
                    Reader::V2 => self.merge_here(*value, each),
                }
                continue;
            }
            let Some(name) = self.key(*key) else { continue };
            if let Some(taken) = taken
                && !taken.insert(name.as_bytes().to_vec())
            {
                continue;
            }
            self.path.push(Step::Key(*key));
            each(self, *key, name, *value);
            self.path.pop();
        }
        if let Some(merge) = merge {
            self.merge(entries, merge, taken, |d, node, taken| d.map(node, taken, each));
        }
    }

    /// Reads a list; `each` gets the entries.
    pub fn sequence(&mut self, node: Id, each: &mut dyn FnMut(&mut Self, Id)) {
        let document = self.document;
        let Content::Sequence(items) = &document.node(node).content else {
            let help = match &document.node(node).content {
                Content::Scalar { text, .. } if !self.is_in_secret() => {
                    Some(format!("write a list: [{}]", brief(text)))
                }
                _ => None,
            };
            return self.mismatch_with(node, "a list", help);
        };
        for (index, item) in items.iter().enumerate() {
            self.path.push(Step::Index(index, *item));
            each(self, *item);
            self.path.pop();
        }
    }

    /// The text of a key; a null key is passed over, as upstream does.
    fn key(&mut self, key: Id) -> Option<Cow<'d, str>> {
        let mut name = None;
        self.enter(key, |d, key| {
            name = d.text(key);
            name.is_some()
        });
        name
    }

    fn has_duplicates(&mut self, entries: &[(Id, Id)]) -> bool {
        let document = self.document;
        let identity = |key: Id| document.text(key);
        let may_repeat = |key: Id| self.reader == Reader::V2 && document.is_merge(key);
        let mut pairs: Vec<(Id, Id)> = Vec::new();
        if entries.len() <= FEW {
            for (index, (key, _)) in entries.iter().enumerate() {
                let mut before = entries.iter().take(index).filter(|(key, _)| !may_repeat(*key));
                pairs.extend(
                    before
                        .find(|(k, _)| identity(*k) == identity(*key))
                        .map(|(first, _)| (*first, *key)),
                );
            }
        } else {
            let mut seen: HashMap<Option<&str>, Id> = HashMap::with_capacity(entries.len());
            for (key, _) in entries.iter().filter(|(key, _)| !may_repeat(*key)) {
                match seen.entry(identity(*key)) {
                    Entry::Occupied(first) => pairs.push((*first.get(), *key)),
                    Entry::Vacant(place) => {
                        place.insert(*key);
                    }
                }
            }
        }
        for (first, key) in &pairs {
            let (name, line) = (identity(*key).unwrap_or_default(), document.node(*first).at.line);
            self.report(*key, format!("key {name:?} already defined at line {line}"), None);
        }
        !pairs.is_empty()
    }

    /// The mappings that `<<` names; what is wrong has been reported when there are none.
    fn merged(&mut self, merged: Id) -> Vec<Id> {
        let document = self.document;
        let is_mapping =
            |node: &Id| matches!(document.node(document.target(*node)).content, Content::Mapping(_));
        let parts = match &document.node(merged).content {
            Content::Sequence(parts) => parts.clone(),
            _ => vec![merged],
        };
        if parts.iter().all(is_mapping) {
            return parts;
        }
        let message = "map merge requires map or sequence of maps as the value";
        self.report(merged, message, None);
        Vec::new()
    }

    /// Takes in what `<<` names as if it stood there: what comes later counts.
    fn merge_here(&mut self, merged: Id, each: &mut Each<'_, 'd, 't>) {
        for part in self.merged(merged).into_iter().rev() {
            self.enter(part, |d, node| {
                d.map(node, &mut None, each);
                true
            });
        }
    }

    /// Takes in what `<<` names: keys that are there already win, then the first of several mappings.
    fn merge(
        &mut self,
        own: &[(Id, Id)],
        merged: Id,
        taken: &mut Option<Taken>,
        mut fill: impl FnMut(&mut Self, Id, &mut Option<Taken>),
    ) {
        let document = self.document;
        let mut outer = taken.take().or_else(|| {
            // Upstream compares by value: a key that reads as a number or truth value hides nothing.
            let text = |key: Id| match &document.node(key).content {
                Content::Scalar { text, plain } => {
                    match scalar::resolve(document.node(key).tag.as_deref(), text, *plain) {
                        Ok(Scalar::Text(text)) => Some(text.as_bytes().to_vec()),
                        Ok(Scalar::Bytes(bytes)) => Some(bytes),
                        _ => None,
                    }
                }
                _ => None,
            };
            Some(
                own.iter()
                    .filter_map(|(key, _)| text(document.target(*key)))
                    .collect(),
            )
        });
        for part in self.merged(merged) {
            self.enter(part, |d, node| {
                fill(d, node, &mut outer);
                true
            });
        }
        *taken = outer;
    }

    /// The key below which what is being read stands.
    pub fn key_of_this(&self) -> Option<&'d str> {
        match self.path.last() {
            Some(Step::Key(key)) => self.document.text(*key),
            _ => None,
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

    fn stop(&mut self, node: Id, message: impl Into<String>) {
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

    /// The node is not of the wanted kind.
    pub fn mismatch(&mut self, node: Id, wanted: &str) {
        self.mismatch_with(node, wanted, None);
    }

    fn mismatch_with(&mut self, node: Id, wanted: &str, help: Option<String>) {
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

    fn unknown_field<S: Section>(&mut self, key: Id, name: &str) {
        let mut known = Vec::new();
        S::names(&mut known);
        // The http section has too many fields to list them.
        let list = || (known.len() <= 20).then(|| format!("known fields: {}", known.join(", ")));
        let help = hint(name, &known).or_else(list);
        self.report(key, format!("field {:?} not found", brief(name)), help);
    }
}

/// At most 40 characters of a text.
fn brief(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()).into(),
        None => text.into(),
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
