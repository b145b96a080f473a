//! YAML text as a tree of nodes that know where they stand.
//!
//! The tree is that of go.yaml.in/yaml/v3, which reads the configuration of the Go program: only the first document
//! counts, aliases point at the node that their anchor named when they were read, tags are kept in their short form.
//! What a scalar means is decided in [`scalar`], when it is known what is wanted of it.

#![forbid(unsafe_code)]

mod repair;
pub mod scalar;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use repair::Shifts;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

/// A place in the text, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The text is not YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SyntaxError {
    pub at: Position,
    pub message: String,
}

/// Names a node of a [`Document`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(usize);

/// One node.
#[derive(Debug)]
pub struct Node<'t> {
    /// Where it begins.
    pub at: Position,
    /// The tag, if one was written: `!!binary`, `!own`.
    pub tag: Option<Cow<'t, str>>,
    /// What it is.
    pub content: Content<'t>,
}

/// What a node is.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Content<'t> {
    /// A text; `plain` when it was not quoted, so that it may mean a number, a truth value or null.
    Scalar {
        text: Cow<'t, str>,
        plain: bool,
    },
    Sequence(Vec<Id>),
    /// Keys and values in the order of the text.
    Mapping(Vec<(Id, Id)>),
    /// The node that the anchor names.
    Alias(Id),
}

/// The first document of a text.
#[derive(Debug)]
pub struct Document<'t> {
    nodes: Vec<Node<'t>>,
    /// Where text follows that does not belong to the document, without a mark between them.
    ignored: Option<Position>,
}

/// Deepest nesting that is read. The Go program reads 10,000; no configuration needs more than a dozen.
const MAX_DEPTH: usize = 200;

/// What Go's reader says of a character that does not belong where it stands.
const CANNOT_START: &str = "found character that cannot start any token";

/// Where a tab stands before the first text of all, in which the parser sees no indentation yet.
fn first_tab(text: &str) -> Option<Position> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
    let (text, line) =
        lines.find(|(text, _)| !text.trim().is_empty() && !text.trim_start_matches(' ').starts_with('#'))?;
    let spaces = text.len() - text.trim_start_matches(' ').len();
    let at = Position {
        line,
        column: spaces + 1,
    };
    text.get(spaces..)?.starts_with('\t').then_some(at)
}

impl<'t> Document<'t> {
    /// Reads the first document; `None` when the text holds none.
    ///
    /// # Errors
    /// The first place where the text is not YAML.
    pub fn parse(text: &'t str) -> Result<Option<Self>, SyntaxError> {
        if let Some(at) = first_tab(text) {
            let message = CANNOT_START.to_owned();
            return Err(SyntaxError { at, message });
        }
        Self::read(text, &Shifts::default()).or_else(|error| repair::read(text, error))
    }

    /// Reads a text that was changed: places are given as they were before `shifts`.
    fn read(text: &'t str, shifts: &Shifts) -> Result<Option<Self>, SyntaxError> {
        let mut builder = Builder {
            shifts,
            nodes: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
        };
        let mut ignored = None;
        for event in Parser::new_from_str(text) {
            match event {
                Ok((event, span)) => {
                    if builder.take(event, span)? {
                        break;
                    }
                }
                Err(error) => {
                    let at = builder.position(error.marker());
                    // Upstream stops reading where the outermost mapping ends, whatever comes then.
                    let is_after_end = matches!(
                        error.info(),
                        "did not find expected <document start>"
                            | "missing explicit document end marker before directive"
                    );
                    if is_after_end && builder.is_complete() {
                        ignored = Some(at);
                        break;
                    }
                    let message = error.info().to_owned();
                    return Err(SyntaxError { at, message });
                }
            }
        }
        let document = Document {
            nodes: builder.nodes,
            ignored,
        };
        Ok((!document.nodes.is_empty()).then_some(document))
    }

    /// The same, independent of the text, its texts as `mend` makes them.
    fn into_owned(self, mend: fn(&str) -> String) -> Document<'static> {
        let own = |text: Cow<'t, str>| Cow::Owned(mend(&text));
        let nodes = self.nodes.into_iter().map(|node| Node {
            at: node.at,
            tag: node.tag.map(own),
            content: match node.content {
                Content::Scalar { text, plain } => Content::Scalar {
                    text: own(text),
                    plain,
                },
                Content::Sequence(items) => Content::Sequence(items),
                Content::Mapping(entries) => Content::Mapping(entries),
                Content::Alias(target) => Content::Alias(target),
            },
        });
        Document {
            nodes: nodes.collect(),
            ignored: self.ignored,
        }
    }

    /// Where text begins that is not read, although nothing ends the document before it.
    pub fn ignored(&self) -> Option<Position> {
        self.ignored
    }

    /// The outermost node.
    pub fn root(&self) -> Id {
        Id(0)
    }

    /// The node of that name.
    pub fn node(&self, id: Id) -> &Node<'t> {
        // Invariant: an `Id` is made by the builder of this document for a node that it pushed.
        #[allow(clippy::indexing_slicing)]
        &self.nodes[id.0]
    }

    /// The node itself, or the one that it is an alias of.
    pub fn target(&self, id: Id) -> Id {
        match self.node(id).content {
            Content::Alias(target) => target,
            _ => id,
        }
    }

    /// Whether this is (an alias of) a null.
    pub fn is_null(&self, id: Id) -> bool {
        let node = self.node(self.target(id));
        match (&node.tag, &node.content) {
            (Some(tag), Content::Scalar { text, .. }) if tag == scalar::NULL => scalar::is_null(text),
            (Some(tag), _) if tag != "!" => tag == scalar::NULL,
            (_, Content::Scalar { text, plain: true }) => scalar::is_null(text),
            _ => false,
        }
    }

    /// The value of a key of a mapping, and where the key stands; keys taken in by `<<` count, the mapping's own first.
    pub fn entry(&self, mapping: Id, key: &str) -> Option<(Position, Id)> {
        self.entry_within(mapping, key, MAX_DEPTH)
    }

    fn entry_within(&self, mapping: Id, key: &str, depth: usize) -> Option<(Position, Id)> {
        let Content::Mapping(entries) = &self.node(self.target(mapping)).content else {
            return None;
        };
        let depth = depth.checked_sub(1)?;
        let own = entries.iter().find(|(k, _)| self.text(*k) == Some(key));
        if let Some((key, value)) = own {
            return Some((self.node(*key).at, *value));
        }
        let merged = entries.iter().find(|(k, _)| self.is_merge(*k))?.1;
        match &self.node(self.target(merged)).content {
            Content::Sequence(parts) => parts.iter().find_map(|p| self.entry_within(*p, key, depth)),
            _ => self.entry_within(merged, key, depth),
        }
    }

    /// The text of a scalar as it was written.
    pub fn text(&self, id: Id) -> Option<&str> {
        match &self.node(self.target(id)).content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether this key is `<<`, which takes in other mappings.
    pub fn is_merge(&self, key: Id) -> bool {
        let node = self.node(key);
        let tagged = node
            .tag
            .as_deref()
            .is_some_and(|t| t != "!" && t != scalar::MERGE);
        matches!(&node.content, Content::Scalar { text, plain: true } if text == "<<" && !tagged)
    }
}

/// Builds the tree from the parser's events, without recursion: the text decides the depth.
struct Builder<'s, 't> {
    shifts: &'s Shifts,
    nodes: Vec<Node<'t>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Id>,
}

/// A collection that has not ended yet.
struct Open {
    id: Id,
    /// The key that waits for its value.
    key: Option<Id>,
}

impl<'t> Builder<'_, 't> {
    fn position(&self, marker: &Marker) -> Position {
        self.shifts.original(Position {
            line: marker.line(),
            column: marker.col() + 1,
        })
    }

    /// Whether the outermost node has ended.
    fn is_complete(&self) -> bool {
        self.open.is_empty() && !self.nodes.is_empty()
    }

    /// Takes one event; `true` when the document has ended.
    fn take(&mut self, event: Event<'t>, span: Span) -> Result<bool, SyntaxError> {
        let at = self.position(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                // In brackets the parser takes for a text what Go's reader does not know there.
                if plain && text.starts_with(['|', '>']) {
                    let message = CANNOT_START.to_owned();
                    return Err(SyntaxError { at, message });
                }
                self.add(at, tag, anchor, Content::Scalar { text, plain });
            }
            Event::Alias(anchor) => {
                // Invariant: the parser knows only anchors whose node it has announced.
                if let Some(target) = self.anchors.get(&anchor).copied() {
                    self.add(at, None, 0, Content::Alias(target));
                }
            }
            Event::SequenceStart(anchor, tag) => {
                let id = self.add(at, tag, anchor, Content::Sequence(Vec::new()));
                self.open(id, at)?;
            }
            Event::MappingStart(anchor, tag) => {
                let id = self.add(at, tag, anchor, Content::Mapping(Vec::new()));
                self.open(id, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
            }
            Event::DocumentEnd | Event::StreamEnd => return Ok(true),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
        }
        Ok(false)
    }

    fn open(&mut self, id: Id, at: Position) -> Result<(), SyntaxError> {
        self.open.push(Open { id, key: None });
        if self.open.len() > MAX_DEPTH {
            return Err(SyntaxError {
                at,
                message: format!("nested more than {MAX_DEPTH} levels deep"),
            });
        }
        Ok(())
    }

    fn add(
        &mut self,
        at: Position,
        tag: Option<Cow<'t, saphyr_parser::Tag>>,
        anchor: usize,
        content: Content<'t>,
    ) -> Id {
        let id = Id(self.nodes.len());
        let tag = tag.map(|tag| short_tag(&tag));
        self.nodes.push(Node { at, tag, content });
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        if let Some(parent) = self.open.last_mut() {
            match self.nodes.get_mut(parent.id.0).map(|n| &mut n.content) {
                Some(Content::Sequence(items)) => items.push(id),
                Some(Content::Mapping(entries)) => match parent.key.take() {
                    Some(key) => entries.push((key, id)),
                    None => parent.key = Some(id),
                },
                _ => {}
            }
        }
        id
    }
}

fn short_tag<'t>(tag: &saphyr_parser::Tag) -> Cow<'t, str> {
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("tag:yaml.org,2002:", suffix) => format!("!!{suffix}").into(),
        ("", suffix) => match suffix.strip_prefix("tag:yaml.org,2002:") {
            Some(rest) => format!("!!{rest}").into(),
            None => suffix.to_owned().into(),
        },
        (handle, suffix) => format!("{handle}{suffix}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_nodes_stand() {
        let document = Document::parse("a:\n  b: [1, 2]\n").unwrap().unwrap();
        let (at, a) = document.entry(document.root(), "a").unwrap();
        assert_eq!((at.line, at.column), (1, 1));
        let (at, b) = document.entry(a, "b").unwrap();
        assert_eq!((at.line, at.column), (2, 3));
        assert_eq!(document.node(b).at, Position { line: 2, column: 6 });
    }

    #[test]
    fn reads_only_the_first_document() {
        let document = Document::parse("a: 1\n---\nb: [\n").unwrap().unwrap();
        assert!(document.entry(document.root(), "a").is_some());
        assert!(Document::parse("# nothing\n").unwrap().is_none());
        assert!(Document::parse("").unwrap().is_none());
    }

    #[test]
    fn finds_merged_keys() {
        let text = "x: &x {k: 1, l: 2}\ny: {<<: *x, k: 3}\n";
        let document = Document::parse(text).unwrap().unwrap();
        let (_, y) = document.entry(document.root(), "y").unwrap();
        assert_eq!(
            document.entry(y, "k").map(|(_, v)| document.text(v)),
            Some(Some("3"))
        );
        assert_eq!(
            document.entry(y, "l").map(|(_, v)| document.text(v)),
            Some(Some("2"))
        );
        assert!(document.entry(y, "m").is_none());
    }

    #[test]
    fn only_the_line_breaks_of_today_break_lines() {
        let text = "a: x\u{2028}y # b\u{2029}c: d\n";
        let document = Document::parse(text).unwrap().unwrap();
        let (_, a) = document.entry(document.root(), "a").unwrap();
        assert_eq!(document.text(a), Some("x\u{2028}y"));
        assert!(document.entry(document.root(), "c").is_none());
    }

    #[test]
    fn what_gos_reader_knows_no_token_for_is_none() {
        for (text, line, column) in [
            ("a: [|]\n", 1, 5),
            ("a: {b: >x}\n", 1, 8),
            ("\ta: b\n", 1, 1),
            ("# c\n\n \ta: b\n", 3, 2),
            ("\t# c\na: b\n", 1, 1),
        ] {
            let error = Document::parse(text).unwrap_err();
            let found = (error.message.as_str(), error.at.line, error.at.column);
            assert_eq!(found, (CANNOT_START, line, column), "{text:?}");
        }
        for text in [
            "a:\tb\n",
            "a: b # \t\n",
            "a: [x|, '|', \">\"]\n",
            "a: |\n  \tb\n",
            "\t\na: b\n",
            "",
            "#",
        ] {
            assert!(Document::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn refuses_bottomless_nesting() {
        let error = Document::parse(&"[".repeat(220)).unwrap_err();
        assert!(error.message.contains("levels deep"), "{error:?}");
    }
}
