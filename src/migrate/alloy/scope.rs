//! Where the blocks of a configuration stand, and which of them refer to what.

use std::collections::HashMap;
use std::ops::Range;

use super::{File, attribute, blocks};
use alloy_syntax::{Block, references};

/// Blocks that can refer to each other: those of all files, or those inside one block.
#[derive(Default)]
pub(super) struct Scope<'a> {
    /// The blocks, with their files.
    pub blocks: Vec<(&'a Block, &'a File<'a>)>,
    /// The scope around it; the outermost is 0 and has none.
    pub outer: Option<usize>,
    /// The label of the `declare` that it is the body of.
    pub declare: Option<&'a str>,
    file: usize,
    span: Range<usize>,
    by_name: HashMap<&'a str, Vec<usize>>,
    by_label: HashMap<(&'a str, &'a str), usize>,
    /// The blocks that refer to something in `targets`, or in the `value` of an `export`.
    by_reference: HashMap<String, usize>,
    /// Lists of numbers of blocks.
    users: Vec<Vec<usize>>,
}

/// A block, by its scope and its number there.
pub(super) type At = (usize, usize);

/// Every scope, the outer before those in it.
pub(super) struct Scopes<'a> {
    all: Vec<Scope<'a>>,
    /// The scope and the list of the blocks behind a `discovery.relabel` or an `export`.
    after: HashMap<At, (usize, usize)>,
}

impl<'a> Scopes<'a> {
    pub fn of(files: &'a [File<'a>]) -> Self {
        let mut scopes = Self {
            all: vec![Scope::default()],
            after: HashMap::new(),
        };
        for file in files {
            for block in blocks(&file.body) {
                scopes.add(0, block, file);
            }
        }
        for file in files {
            for block in blocks(&file.body) {
                scopes.enter(0, block, file);
            }
        }
        let mut after = HashMap::new();
        for (number, scope) in scopes.all.iter().enumerate() {
            for (index, (block, _)) in scope.blocks.iter().enumerate() {
                let (behind, output) = match (block.name.as_str(), scope.outer, scope.declare) {
                    ("discovery.relabel", ..) => {
                        (number, format!("discovery.relabel.{}.output", block.label))
                    }
                    ("export", Some(outer), Some(declare)) => (outer, each_use(declare, &block.label)),
                    _ => continue,
                };
                if let Some(list) = scopes.get(behind).by_reference.get(&output) {
                    after.insert((number, index), (behind, *list));
                }
            }
        }
        scopes.after = after;
        scopes
    }

    fn add(&mut self, scope: usize, block: &'a Block, file: &'a File<'a>) {
        let Some(scope) = self.all.get_mut(scope) else {
            return;
        };
        let index = scope.blocks.len();
        scope.blocks.push((block, file));
        scope.by_label.entry((&block.name, &block.label)).or_insert(index);
        scope.by_name.entry(&block.name).or_default().push(index);
        let argument = if block.name == "export" {
            "value"
        } else {
            "targets"
        };
        for path in paths(block, argument) {
            // Outputs of all users of a `declare` are one: `name.label.output` stands for each.
            let each = match path.split('.').collect::<Vec<_>>().as_slice() {
                [name, _, output] => Some(each_use(name, output)),
                _ => None,
            };
            for path in [Some(path), each].into_iter().flatten() {
                let next = scope.users.len();
                let list = *scope.by_reference.entry(path).or_insert(next);
                if list == next {
                    scope.users.push(Vec::new());
                }
                if let Some(users) = scope
                    .users
                    .get_mut(list)
                    .filter(|users| users.last() != Some(&index))
                {
                    users.push(index);
                }
            }
        }
    }

    fn enter(&mut self, outer: usize, block: &'a Block, file: &'a File<'a>) {
        if blocks(&block.body).next().is_none() {
            return;
        }
        let inner = self.all.len();
        self.all.push(Scope {
            outer: Some(outer),
            declare: (block.name == "declare").then_some(block.label.as_str()),
            file: file.number,
            span: block.span.clone(),
            ..Scope::default()
        });
        for block in blocks(&block.body) {
            self.add(inner, block, file);
        }
        for block in blocks(&block.body) {
            self.enter(inner, block, file);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Scope<'a>> {
        self.all.iter()
    }

    pub fn get(&self, scope: usize) -> &Scope<'a> {
        // Invariant: numbers of scopes come from here.
        self.all.get(scope).unwrap_or_else(|| unreachable!())
    }

    pub fn block(&self, (scope, index): At) -> Option<(&'a Block, &'a File<'a>)> {
        self.get(scope).blocks.get(index).copied()
    }

    /// The blocks that refer to what a block makes of targets.
    pub fn after(&self, at: At) -> impl Iterator<Item = At> {
        let after = self.after.get(&at).into_iter();
        after.flat_map(|(scope, list)| {
            let users = self.get(*scope).users.get(*list).into_iter().flatten();
            users.map(|user| (*scope, *user))
        })
    }

    /// The innermost scope of a place of a file.
    pub fn at(&self, file: usize, place: usize) -> usize {
        let behind = self.all.partition_point(|scope| {
            scope.outer.is_none() || (scope.file, scope.span.start) <= (file, place)
        });
        let mut scope = behind.saturating_sub(1);
        while let Some(outer) = self.get(scope).outer
            && !(self.get(scope).file == file && self.get(scope).span.contains(&place))
        {
            scope = outer;
        }
        scope
    }
}

impl<'a> Scope<'a> {
    /// The blocks of a name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = (&'a Block, &'a File<'a>)> {
        let indices = self.by_name.get(name).into_iter().flatten();
        indices.filter_map(|index| self.blocks.get(*index).copied())
    }

    /// The block of a name and a label.
    pub fn block(&self, name: &str, label: &str) -> Option<(&'a Block, &'a File<'a>)> {
        self.blocks.get(*self.by_label.get(&(name, label))?).copied()
    }

    /// The blocks that refer to something.
    pub fn users(&self, path: &str) -> &[usize] {
        let list = self.by_reference.get(path).and_then(|list| self.users.get(*list));
        list.map_or(&[], Vec::as_slice)
    }

    /// The `prometheus.relabel` of a receiver.
    pub fn receiver(&self, path: &str) -> Option<usize> {
        let label = path
            .strip_prefix("prometheus.relabel.")?
            .strip_suffix(".receiver")?;
        self.by_label.get(&("prometheus.relabel", label)).copied()
    }
}

/// What stands for an output of every use of a `declare`.
fn each_use(declare: &str, output: &str) -> String {
    format!("{declare}..{output}")
}

/// The references in an argument of a block.
pub(super) fn paths(block: &Block, argument: &str) -> impl Iterator<Item = String> {
    let value = attribute(block, argument).map(|attribute| attribute.value.to_string());
    let found = value.and_then(|text| references(&text).ok()).unwrap_or_default();
    found.into_iter().map(|(_, path)| path)
}
