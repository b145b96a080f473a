//! Tokens as a tree of nodes: the grammar of `parserc.go` of go.yaml.in/yaml/v3.

use std::borrow::Cow;
use std::collections::HashMap;

use super::scanner::{Kind, Scanner, Token, wrong};
use super::{Content, Document, Id, MAX_DEPTH, Node, Position, SyntaxError};

type Parsed<T> = Result<T, SyntaxError>;

/// Reads the first document; `None` when the text holds none.
pub(super) fn parse(text: &str) -> Parsed<Option<Document<'_>>> {
    let mut parser = Parser {
        scanner: Scanner::new(text),
        nodes: Vec::new(),
        anchors: HashMap::new(),
        tags: HashMap::new(),
        depth: 0,
    };
    if parser.peek()?.kind == Kind::StreamEnd {
        return Ok(None);
    }
    parser.document()?;
    let after = parser.peek()?;
    let is_ended = matches!(
        after.kind,
        Kind::StreamEnd | Kind::DocumentStart | Kind::DocumentEnd
    );
    let ignored = (!is_ended).then_some(after.start);
    Ok(Some(Document {
        nodes: parser.nodes,
        ignored,
    }))
}

struct Parser<'t> {
    scanner: Scanner<'t>,
    nodes: Vec<Node<'t>>,
    anchors: HashMap<&'t str, Id>,
    /// What `%TAG` made of handles.
    tags: HashMap<&'t str, String>,
    depth: usize,
}

/// What is written before a node.
#[derive(Default)]
struct Properties<'t> {
    anchor: Option<&'t str>,
    tag: Option<Cow<'t, str>>,
}

/// Whether a node stands in a block, and whether it may be a list indented no further than its key.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Block,
    BlockValue,
    Flow,
}

impl<'t> Parser<'t> {
    fn peek(&mut self) -> Parsed<&Token<'t>> {
        self.scanner.peek()
    }

    /// Takes the next token.
    fn take(&mut self) -> Parsed<Token<'t>> {
        self.peek()?;
        let none = self.scanner.error("no token");
        self.scanner.take().ok_or(none)
    }

    fn is_next(&mut self, kinds: &[Kind<'static>]) -> Parsed<bool> {
        let next = &self.peek()?.kind;
        Ok(kinds.iter().any(|kind| kind == next))
    }

    /// Takes the next token if it is of that kind.
    fn take_if(&mut self, kind: &Kind<'static>) -> Parsed<Option<Token<'t>>> {
        if self.peek()?.kind == *kind {
            self.take().map(Some)
        } else {
            Ok(None)
        }
    }

    fn document(&mut self) -> Parsed<()> {
        let mut has_version = false;
        let mut has_directive = false;
        while let Kind::Version { .. } | Kind::TagDirective { .. } = self.peek()?.kind {
            has_directive = true;
            let token = self.take()?;
            match token.kind {
                Kind::Version { .. } if has_version => {
                    return wrong(token.start, "a second %YAML directive");
                }
                Kind::Version { is_1_1: false } => {
                    return wrong(token.start, "only YAML 1.1 may be asked for: %YAML 1.1");
                }
                Kind::Version { .. } => has_version = true,
                Kind::TagDirective { handle, prefix } => {
                    let earlier = self.tags.insert(handle, prefix);
                    if earlier.is_some() {
                        return wrong(token.start, "a second %TAG directive for one handle");
                    }
                }
                _ => {}
            }
        }
        for (handle, prefix) in [("!", "!"), ("!!", LONG_TAG)] {
            self.tags.entry(handle).or_insert_with(|| prefix.to_owned());
        }
        let is_explicit = self.take_if(&Kind::DocumentStart)?.is_some();
        if has_directive && !is_explicit {
            let message = "expected --- behind the directives";
            return Err(SyntaxError::new(self.peek()?.start, message));
        }
        let next = self.peek()?;
        let is_empty = matches!(
            next.kind,
            Kind::Version { .. }
                | Kind::TagDirective { .. }
                | Kind::DocumentStart
                | Kind::DocumentEnd
                | Kind::StreamEnd
        );
        if is_explicit && is_empty {
            let at = next.start;
            self.empty(at);
            return Ok(());
        }
        self.node(Place::Block).map(|_| ())
    }

    fn add(&mut self, at: Position, properties: Properties<'t>, content: Content<'t>) -> Id {
        let id = Id(self.nodes.len());
        let tag = properties.tag;
        self.nodes.push(Node { at, tag, content });
        if let Some(anchor) = properties.anchor {
            self.anchors.insert(anchor, id);
        }
        id
    }

    fn empty(&mut self, at: Position) -> Id {
        let text = Cow::Borrowed("");
        self.add(at, Properties::default(), Content::Scalar { text, plain: true })
    }

    fn node(&mut self, place: Place) -> Parsed<Id> {
        let start = self.peek()?.start;
        if self.depth >= MAX_DEPTH {
            return wrong(start, "nested more than 200 levels deep");
        }
        self.depth += 1;
        let node = self.node_within(place, start);
        self.depth -= 1;
        node
    }

    fn node_within(&mut self, place: Place, start: Position) -> Parsed<Id> {
        if let Kind::Alias(name) = self.peek()?.kind {
            self.take()?;
            let target = self.anchors.get(name).copied();
            let target = target.ok_or_else(|| {
                SyntaxError::new(start, format!("there is no anchor &{name} above this alias"))
            })?;
            return Ok(self.add(start, Properties::default(), Content::Alias(target)));
        }
        let properties = self.properties()?;
        let next = self.peek()?;
        let at = next.start;
        let in_block = place != Place::Flow;
        match &next.kind {
            Kind::BlockEntry if place == Place::BlockValue => {
                let id = self.add(start, properties, Content::Sequence(Vec::new()));
                self.indentless_sequence(id)?;
                Ok(id)
            }
            Kind::Scalar { .. } => {
                let Kind::Scalar { text, plain } = self.take()?.kind else {
                    return Err(self.scanner.error("no text"));
                };
                Ok(self.add(start, properties, Content::Scalar { text, plain }))
            }
            Kind::FlowSequenceStart => {
                let id = self.add(start, properties, Content::Sequence(Vec::new()));
                self.take()?;
                self.flow_sequence(id, at)?;
                Ok(id)
            }
            Kind::FlowMappingStart => {
                let id = self.add(start, properties, Content::Mapping(Vec::new()));
                self.take()?;
                self.flow_mapping(id, at)?;
                Ok(id)
            }
            Kind::BlockSequenceStart if in_block => {
                let id = self.add(start, properties, Content::Sequence(Vec::new()));
                self.take()?;
                self.block_sequence(id)?;
                Ok(id)
            }
            Kind::BlockMappingStart if in_block => {
                let id = self.add(start, properties, Content::Mapping(Vec::new()));
                self.take()?;
                self.block_mapping(id)?;
                Ok(id)
            }
            _ if properties.anchor.is_some() || properties.tag.is_some() => {
                let text = Cow::Borrowed("");
                Ok(self.add(start, properties, Content::Scalar { text, plain: true }))
            }
            Kind::StreamEnd => Err(SyntaxError::new(at, "the text ends where a value is expected")),
            _ => Err(SyntaxError::new(at, "expected a value here")),
        }
    }

    /// An anchor and a tag, in any order.
    fn properties(&mut self) -> Parsed<Properties<'t>> {
        let mut properties = Properties::default();
        for _ in 0..2 {
            match &self.peek()?.kind {
                Kind::Anchor(_) if properties.anchor.is_none() => {
                    if let Kind::Anchor(name) = self.take()?.kind {
                        properties.anchor = Some(name);
                    }
                }
                Kind::Tag { .. } if properties.tag.is_none() => {
                    let token = self.take()?;
                    if let Kind::Tag { handle, suffix } = token.kind {
                        properties.tag = Some(self.tag(handle, suffix, token.start)?);
                    }
                }
                _ => break,
            }
        }
        Ok(properties)
    }

    /// A tag in its short form.
    fn tag(&self, handle: &str, suffix: String, at: Position) -> Parsed<Cow<'t, str>> {
        let whole = if handle.is_empty() {
            suffix
        } else {
            let prefix = self.tags.get(handle);
            let prefix = prefix
                .ok_or_else(|| SyntaxError::new(at, format!("there is no %TAG directive for {handle}")))?;
            format!("{prefix}{suffix}")
        };
        Ok(match whole.strip_prefix(LONG_TAG) {
            Some(short) => Cow::Owned(format!("!!{short}")),
            None => Cow::Owned(whole),
        })
    }

    fn push_item(&mut self, list: Id, item: Id) {
        if let Some(Content::Sequence(items)) = self.nodes.get_mut(list.0).map(|node| &mut node.content) {
            items.push(item);
        }
    }

    fn push_entry(&mut self, mapping: Id, key: Id, value: Id) {
        if let Some(Content::Mapping(entries)) = self.nodes.get_mut(mapping.0).map(|node| &mut node.content) {
            entries.push((key, value));
        }
    }

    /// A node, or an empty one at `at` when one of these tokens comes first.
    fn node_unless(&mut self, ends: &[Kind<'static>], place: Place, at: Position) -> Parsed<Id> {
        if self.is_next(ends)? {
            Ok(self.empty(at))
        } else {
            self.node(place)
        }
    }

    fn block_sequence(&mut self, id: Id) -> Parsed<()> {
        loop {
            if let Some(entry) = self.take_if(&Kind::BlockEntry)? {
                let item = self.node_unless(&[Kind::BlockEntry, Kind::BlockEnd], Place::Block, entry.end)?;
                self.push_item(id, item);
            } else if self.take_if(&Kind::BlockEnd)?.is_some() {
                return Ok(());
            } else {
                let message = "expected '-': is this line indented like the other items of the list?";
                return Err(SyntaxError::new(self.peek()?.start, message));
            }
        }
    }

    fn indentless_sequence(&mut self, id: Id) -> Parsed<()> {
        const ENDS: [Kind<'static>; 4] = [Kind::BlockEntry, Kind::Key, Kind::Value, Kind::BlockEnd];
        while let Some(entry) = self.take_if(&Kind::BlockEntry)? {
            let item = self.node_unless(&ENDS, Place::Block, entry.end)?;
            self.push_item(id, item);
        }
        Ok(())
    }

    fn block_mapping(&mut self, id: Id) -> Parsed<()> {
        const ENDS: [Kind<'static>; 3] = [Kind::Key, Kind::Value, Kind::BlockEnd];
        loop {
            if let Some(key) = self.take_if(&Kind::Key)? {
                let key = self.node_unless(&ENDS, Place::BlockValue, key.end)?;
                let value = match self.take_if(&Kind::Value)? {
                    Some(value) => self.node_unless(&ENDS, Place::BlockValue, value.end)?,
                    None => {
                        let at = self.peek()?.start;
                        self.empty(at)
                    }
                };
                self.push_entry(id, key, value);
            } else if self.take_if(&Kind::BlockEnd)?.is_some() {
                return Ok(());
            } else {
                let message = "expected a key: is this line indented like its neighbours?";
                return Err(SyntaxError::new(self.peek()?.start, message));
            }
        }
    }

    fn flow_sequence(&mut self, id: Id, start: Position) -> Parsed<()> {
        const ENDS: [Kind<'static>; 2] = [Kind::FlowEntry, Kind::FlowSequenceEnd];
        let mut is_first = true;
        while !self.is_next(&[Kind::FlowSequenceEnd])? {
            if !is_first && self.take_if(&Kind::FlowEntry)?.is_none() {
                return Err(self.unclosed(start, "expected ',' or ']'"));
            }
            is_first = false;
            if let Some(key) = self.take_if(&Kind::Key)? {
                // `[a: b]`: a mapping of one entry.
                let pair = self.add(key.start, Properties::default(), Content::Mapping(Vec::new()));
                let key = if self.is_next(&[Kind::Value, Kind::FlowEntry, Kind::FlowSequenceEnd])? {
                    // As Go does: whatever it is, it is gone.
                    let at = self.take()?.end;
                    self.empty(at)
                } else {
                    self.node(Place::Flow)?
                };
                let value = match self.take_if(&Kind::Value)? {
                    Some(value) => self.node_unless(&ENDS, Place::Flow, value.start)?,
                    None => {
                        let at = self.peek()?.start;
                        self.empty(at)
                    }
                };
                self.push_entry(pair, key, value);
                self.push_item(id, pair);
            } else if !self.is_next(&[Kind::FlowSequenceEnd])? {
                let item = self.node(Place::Flow)?;
                self.push_item(id, item);
            }
        }
        self.take().map(|_| ())
    }

    fn flow_mapping(&mut self, id: Id, start: Position) -> Parsed<()> {
        const ENDS: [Kind<'static>; 2] = [Kind::FlowEntry, Kind::FlowMappingEnd];
        let mut is_first = true;
        while !self.is_next(&[Kind::FlowMappingEnd])? {
            if !is_first && self.take_if(&Kind::FlowEntry)?.is_none() {
                return Err(self.unclosed(start, "expected ',' or '}'"));
            }
            is_first = false;
            if self.take_if(&Kind::Key)?.is_some() {
                let at = self.peek()?.start;
                let key_ends = [Kind::Value, Kind::FlowEntry, Kind::FlowMappingEnd];
                let key = self.node_unless(&key_ends, Place::Flow, at)?;
                let has_value = self.take_if(&Kind::Value)?.is_some();
                let at = self.peek()?.start;
                let value = if has_value {
                    self.node_unless(&ENDS, Place::Flow, at)?
                } else {
                    self.empty(at)
                };
                self.push_entry(id, key, value);
            } else if !self.is_next(&[Kind::FlowMappingEnd])? {
                let key = self.node(Place::Flow)?;
                let at = self.peek()?.start;
                let value = self.empty(at);
                self.push_entry(id, key, value);
            }
        }
        self.take().map(|_| ())
    }

    /// What is wrong within brackets: where they were opened when the text ends, else where it is.
    fn unclosed(&mut self, start: Position, expected: &'static str) -> SyntaxError {
        match self.peek() {
            Ok(Token {
                kind: Kind::StreamEnd,
                ..
            }) => SyntaxError::new(start, "this bracket is never closed"),
            Ok(token) => SyntaxError::new(token.start, expected),
            Err(error) => error,
        }
    }
}

/// What `!!` stands for.
const LONG_TAG: &str = "tag:yaml.org,2002:";
