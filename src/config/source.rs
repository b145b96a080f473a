//! From the bytes of a file to configuration data and everything that is wrong with it.

use super::Config;
use super::decode::{Decoder, NamedFile, Options};
use super::problem::Problem;
use super::value::Value as _;
use super::yaml::{Content, Document, Id, Position, SyntaxError};

/// What a text holds.
#[derive(Debug)]
pub struct Parsed<'t> {
    /// The configuration; what was wrong is left out of it.
    pub config: Config,
    /// Everything that is wrong. Only when this is empty, `config` is what the user meant.
    pub problems: Vec<Problem>,
    /// What loads but is probably not meant.
    pub warnings: Vec<Problem>,
    /// Where things stand.
    pub source: Source<'t>,
    /// The files that it names: secrets, certificates, bodies.
    pub files: Vec<NamedFile>,
}

/// The text behind a configuration: finds the place of a setting.
#[derive(Debug, Default)]
pub struct Source<'t> {
    document: Option<Document<'t>>,
}

/// Reads a configuration file's text.
pub fn parse(text: &str) -> Parsed<'_> {
    parse_with(text, Options::default())
}

/// Reads a configuration file's text in another manner.
pub fn parse_with(text: &str, options: Options) -> Parsed<'_> {
    let mut parsed = Parsed {
        config: Config::default(),
        problems: Vec::new(),
        warnings: Vec::new(),
        source: Source::default(),
        files: Vec::new(),
    };
    match Document::parse(text) {
        Err(error) => parsed.problems.push(not_yaml(&error)),
        Ok(None) => {
            let problem = Problem::new(None, "the file is empty");
            let help = "the smallest configuration is \"modules: {}\"";
            parsed.problems.push(problem.with_help(help));
        }
        Ok(Some(document)) => {
            let mut decoder = Decoder::with(&document, options);
            parsed.config.decode(document.root(), &mut decoder);
            parsed.files = decoder.take_files();
            (parsed.problems, parsed.warnings) = decoder.finish();
            if let Some(at) = document.ignored() {
                let message = "the document ends above this line: the rest of the file is not read";
                let help = "indent the first line like the others";
                parsed
                    .warnings
                    .push(Problem::new(Some(at), message).with_help(help));
            }
            parsed.source.document = Some(document);
        }
    }
    parsed
}

/// What is said of a text that is no YAML.
pub(super) fn not_yaml(error: &SyntaxError) -> Problem {
    Problem::new(Some(error.at), format!("not YAML: {}", error.message))
}

/// The text of a file: UTF-8, or UTF-16 with a byte order mark, without characters that YAML forbids. The line break
/// U+0085 of YAML 1.1, which is one in texts too, becomes today's.
///
/// # Errors
/// Where the bytes are no such text.
pub fn decode_text(bytes: Vec<u8>) -> Result<String, Problem> {
    let text = match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes).map_err(|e| {
            let good = e.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(e.as_bytes().get(..good).unwrap_or_default()).into_owned();
            Problem::new(Some(end_of(&before)), "not YAML: this byte is not UTF-8")
        })?,
    };
    let forbidden = |c: char| {
        let allowed = matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        !allowed
    };
    match text.char_indices().find(|(_, c)| forbidden(*c)) {
        Some((at, c)) => {
            let place = end_of(text.get(..at).unwrap_or_default());
            let message = format!("not YAML: control characters are not allowed, found {c:?}");
            Err(Problem::new(Some(place), message).with_help("write it as an escape in double quotes"))
        }
        None if text.contains('\u{85}') => Ok(text.replace('\u{85}', "\n")),
        None => Ok(text),
    }
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let (pairs, _) = bytes.as_chunks();
    let units: Vec<u16> = pairs.iter().map(|pair| read(*pair)).collect();
    String::from_utf16_lossy(&units)
}

/// The place right after a text.
fn end_of(text: &str) -> Position {
    let last = text.rsplit('\n').next().unwrap_or_default();
    Position {
        line: text.matches('\n').count() + 1,
        column: last.chars().count() + 1,
    }
}

impl Source<'_> {
    /// Where a setting of a module stands, or the nearest thing around it: `path` is like
    /// `http.fail_if_body_matches_regexp[0]`.
    pub fn locate(&self, module: &str, path: &str) -> Option<Position> {
        self.find(module, path).map(|(at, _)| at)
    }

    /// Where a line and column (from 0) within the value of a setting stand in the `text` of the file, if the value stands
    /// there as it is.
    pub fn locate_within(
        &self,
        text: &str,
        module: &str,
        path: &str,
        (line, column): (usize, usize),
    ) -> Option<Position> {
        let document = self.document.as_ref()?;
        let (_, node) = self.find(module, path)?;
        let node = document.node(document.target(node));
        let Content::Scalar { text: value, plain } = &node.content else {
            return None;
        };
        let wanted = value.lines().nth(line)?;
        let on_one_line = text.lines().nth(node.at.line - 1)?;
        let quote = usize::from(!plain);
        let after: String = on_one_line.chars().skip(node.at.column - 1 + quote).collect();
        if line == 0 && after.starts_with(wanted) {
            return Some(Position {
                line: node.at.line,
                column: node.at.column + quote + column,
            });
        }
        // A block, which begins on the next line.
        let block = text.lines().nth(node.at.line + line)?;
        let indent = block.find(wanted)?;
        Some(Position {
            line: node.at.line + line + 1,
            column: block.get(..indent)?.chars().count() + column + 1,
        })
    }

    /// Where a module begins.
    pub fn module(&self, name: &str) -> Option<Position> {
        let document = self.document.as_ref()?;
        let (_, modules) = document.entry(document.root(), "modules")?;
        document.entry(modules, name).map(|(at, _)| at)
    }

    fn find(&self, module: &str, path: &str) -> Option<(Position, Id)> {
        let document = self.document.as_ref()?;
        let (_, modules) = document.entry(document.root(), "modules")?;
        let (mut at, mut node) = document.entry(modules, module)?;
        for name in path.split('.') {
            let (name, indices) = match name.split_once('[') {
                Some((name, rest)) => (name, rest),
                None => (name, ""),
            };
            let Some((key, value)) = document.entry(node, name) else {
                break;
            };
            (at, node) = (key, value);
            for index in indices.split(['[', ']']).filter_map(|i| i.parse().ok()) {
                let Some(item) = self.item(node, index) else { break };
                (at, node) = (document.node(item).at, item);
            }
        }
        Some((at, node))
    }

    /// The entry of a list by its index after null entries were left out.
    fn item(&self, list: Id, index: usize) -> Option<Id> {
        let document = self.document.as_ref()?;
        match &document.node(document.target(list)).content {
            Content::Sequence(items) => items
                .iter()
                .copied()
                .filter(|item| !document.is_null(*item))
                .nth(index),
            _ => None,
        }
    }
}
