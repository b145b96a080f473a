//! YAML text as a tree of nodes that know where they stand.
//!
//! The tree is that of go.yaml.in/yaml/v3, which reads the configuration of upstream: only the first document
//! counts, aliases point at the node that their anchor named when they were read, tags are kept in their short form.
//! What a scalar means is decided in [`scalar`], when it is known what is wanted of it.

#![forbid(unsafe_code)]

mod parser;
pub mod scalar;
mod scanner;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

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
    pub message: Cow<'static, str>,
}

impl SyntaxError {
    fn new(at: Position, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self { at, message }
    }
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

/// Deepest nesting that is read. Upstream reads 10,000; no configuration needs more than a dozen.
const MAX_DEPTH: usize = 200;

impl<'t> Document<'t> {
    /// Reads the first document; `None` when the text holds none.
    ///
    /// # Errors
    /// The first place where the text is not YAML.
    pub fn parse(text: &'t str) -> Result<Option<Self>, SyntaxError> {
        parser::parse(text.strip_prefix('\u{feff}').unwrap_or(text))
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

    /// The truth value that YAML 1.1 sees in a node, which yaml.v2 obeys: of a word without quotes, or tagged `!!bool`.
    pub fn old_truth(&self, id: Id) -> Option<bool> {
        let node = self.node(id);
        match (&node.content, node.tag.as_deref()) {
            (Content::Scalar { text, plain: true }, None)
            | (Content::Scalar { text, .. }, Some(scalar::BOOL)) => scalar::old_boolean(text),
            _ => None,
        }
    }

    /// The value of a key of a mapping, and where the key stands; keys taken in by `<<` count, the mapping's own first.
    pub fn entry(&self, mapping: Id, key: &str) -> Option<(Position, Id)> {
        let mut left = vec![mapping];
        // Mappings without the key: one may be merged many times, also into itself.
        let mut without = HashSet::new();
        while let Some(id) = left.pop() {
            let target = self.target(id);
            let Content::Mapping(entries) = &self.node(target).content else {
                continue;
            };
            if !without.insert(target) {
                continue;
            }
            let own = entries.iter().find(|(k, _)| self.text(*k) == Some(key));
            if let Some((key, value)) = own {
                return Some((self.node(*key).at, *value));
            }
            let Some((_, merged)) = entries.iter().find(|(k, _)| self.is_merge(*k)) else {
                continue;
            };
            match &self.node(self.target(*merged)).content {
                Content::Sequence(parts) => left.extend(parts.iter().rev()),
                _ => left.push(*merged),
            }
        }
        None
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &Document<'_>, path: &str) -> Option<String> {
        let mut node = document.root();
        for name in path.split('.') {
            (_, node) = document.entry(node, name)?;
        }
        document.text(node).map(str::to_owned)
    }

    fn value(text_: &str) -> Option<String> {
        text(&Document::parse(text_).unwrap().unwrap(), "a.b")
    }

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
        let document = Document::parse("x: &x {k: 1, l: 2}\ny: {<<: *x, k: 3}\n")
            .unwrap()
            .unwrap();
        assert_eq!(text(&document, "y.k").as_deref(), Some("3"));
        assert_eq!(text(&document, "y.l").as_deref(), Some("2"));
        assert_eq!(text(&document, "y.m"), None);
    }

    #[test]
    fn a_mapping_is_searched_once() {
        let mut yaml = "a: &a {<<: [*a, *a], k: 1}\nb0: &b0 {l: 2}\n".to_owned();
        for i in 1..=300 {
            yaml.push_str(&format!("b{i}: &b{i} {{<<: [*a, *b{0}, *b{0}]}}\n", i - 1));
        }
        let document = Document::parse(&yaml).unwrap().unwrap();
        for (path, found) in [
            ("a.k", Some("1")),
            ("a.m", None),
            ("b300.k", Some("1")),
            ("b300.l", Some("2")),
            ("b300.m", None),
        ] {
            assert_eq!(text(&document, path).as_deref(), found, "{path}");
        }
    }

    #[test]
    fn what_separates_lines_is_seen() {
        let document = Document::parse("a: x\u{2028}y # b\u{2029}c: d\n")
            .unwrap()
            .unwrap();
        assert_eq!(text(&document, "a").as_deref(), Some("x\u{2028}y"));
        assert_eq!(text(&document, "c"), None);
    }

    #[test]
    fn texts_are_what_go_reads() {
        #[rustfmt::skip]
        let rows = [
            ("a:\n  b:\tyes\n", "yes"),
            ("a:\n  b:\t \tyes\n  c:\tno\n", "yes"),
            ("a:\n  b: \"one\ntwo\n\nthree\"\n", "one two\nthree"),
            ("a:\n  b: 'it''s\nhere'\n  c: \"x\ny\"\n", "it's here"),
            ("a:\n  b: \"one \\\n   two\\tthree\\x41\\u00e9\\\n\n\"\n", "one two\tthreeA\u{e9}\n"),
            ("a:\n  b: one\n    two\n\n\n    three # four\n", "one two\n\nthree"),
            ("a:\n  b: |\n    x\n\n     y\n\n  c: z\n", "x\n\n y\n"),
            ("a:\n  b: >-\n    x\n    y\n\n    z\n     w\n", "x y\nz\n w"),
            ("a:\n  b: |2+ # c\n     x\n\n", " x\n\n"),
            ("a: {b: -, c: [-, -]}\n", "-"),
            ("a: {b: x:y, c: http://h/p }\n", "x:y"),
            ("a: {? b : c, d}\n", "c"),
            ("a: [x]#c\na2: {b: 'c'}#d\n", ""),
            ("%TAG !e! tag:e,2000:\n---\na: {b: !e!x y}\n", "y"),
            ("a: {b: !<tag:yaml.org,2002:str> 5}\n", "5"),
            ("a:\n  b: 'tcp'#c\n", "tcp"),
            ("a:\n  b: \"tcp\" #c\n", "tcp"),
            ("a:\n  b: [\r1,\n2]\n", ""),
            ("a:\n  b: 'x\ry\n'\n", "x y "),
            ("k: &k b\na: {*k : c}\n", "c"),
            ("k: &k b\na:\n  *k: c\n", "c"),
            ("# \u{feff}c\na:\n  \u{feff}b:\n  b: x\u{feff}\u{feff}y # \u{feff}\n", "x\u{feff}\u{feff}y"),
            ("a:\n# c\n\t# d\n\n\t \n# e\n  b: c\n", "c"),
            ("a:\n  b: c\n---\nx: y\n@", "c"),
        ];
        for (source, meaning) in rows {
            match Document::parse(source) {
                Ok(document) => {
                    let found = text(&document.unwrap(), "a.b").unwrap_or_default();
                    assert_eq!(found, meaning, "{source:?}");
                }
                Err(error) => panic!("{source:?}: {error:?}"),
            }
        }
    }

    #[test]
    fn what_go_refuses_is_refused_where_it_stands() {
        for (source, line, column) in [
            ("a: [|]\n", 1, 5),
            ("a: {b: >x}\n", 1, 8),
            ("a: [-[]]\n", 1, 6),
            ("\ta: b\n", 1, 1),
            ("# c\n\n \ta: b\n", 3, 2),
            ("a:\n  \tb: c\n", 2, 3),
            ("a: \"\\/\"\n", 1, 5),
            ("a: |\n  \n\tb\n", 3, 1),
            ("%YAML 2.0\n---\na: b\n", 1, 1),
            ("%YAML 1.2\n---\na: b\n", 1, 1),
            ("a: b\nc\nd: e\n", 2, 1),
            ("a: b: c\n", 1, 5),
            ("a:\n  b: c\n d: e\n", 3, 2),
            ("a:\n  b c\n  d: e\n", 2, 3),
            ("a: [1, 2\n", 1, 4),
            ("a: 'x\n", 1, 4),
            ("a: *x\n", 1, 4),
            ("a: @b\n", 1, 4),
            ("a: !e!x b\n", 1, 4),
            ("a:\n  b: {c: \"x\ny\", d: %}\n", 3, 8),
            ("- a\nb: c\n", 2, 1),
        ] {
            match Document::parse(source) {
                Ok(document) if document.as_ref().is_some_and(|d| d.ignored().is_some()) => {
                    let at = document.unwrap().ignored().unwrap();
                    assert_eq!((at.line, at.column), (line, column), "{source:?}");
                }
                Ok(_) => panic!("{source:?} was read"),
                Err(error) => assert_eq!(
                    (error.at.line, error.at.column),
                    (line, column),
                    "{source:?} {error:?}"
                ),
            }
        }
    }

    #[test]
    fn places_are_those_of_the_file() {
        let document = Document::parse("a:\n  b: {c: \"x\ny\", d: z}\n")
            .unwrap()
            .unwrap();
        let (_, a) = document.entry(document.root(), "a").unwrap();
        let (_, b) = document.entry(a, "b").unwrap();
        let (at, _) = document.entry(b, "d").unwrap();
        assert_eq!((at.line, at.column), (3, 5));
        assert_eq!(value("a:\n  b: c\n").as_deref(), Some("c"));
    }

    #[test]
    fn refuses_bottomless_nesting() {
        for text in ["[".repeat(220), "- ".repeat(220), "? ".repeat(220)] {
            let error = Document::parse(&text).unwrap_err();
            assert!(error.message.contains("levels deep"), "{error:?}");
        }
    }

    #[test]
    fn work_grows_with_the_text_alone() {
        for text in [
            "[".repeat(1000).repeat(300),
            format!("{}\n", "[".repeat(150)).repeat(2000),
            format!("a: {}\n", " ".repeat(600).repeat(1000)),
            format!("a: [{}]\n", "b\n\n#\n".repeat(50_000)),
            format!("a: '{}'\n", "x\r".repeat(100_000)),
        ] {
            let start = std::time::Instant::now();
            let _ = Document::parse(&text);
            assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
        }
    }
}
