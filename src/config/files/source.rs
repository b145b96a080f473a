//! Where the settings of a configuration stand in its text.

use go_yaml::{Content, Document, Id, Position};

/// The text behind a configuration: finds the place of a setting.
#[derive(Debug, Default)]
pub struct Source<'t> {
    document: Option<Document<'t>>,
}

impl<'t> Source<'t> {
    /// Of the text that a document was read from.
    pub(super) fn of(document: Document<'t>) -> Self {
        Self {
            document: Some(document),
        }
    }

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
