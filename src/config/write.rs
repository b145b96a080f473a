//! The configuration as text: `/config` and the pages.

use std::cmp::Ordering;

use super::tree::Tree;

/// Sorts keys as yaml.v3 does: letters by code point, digits by the number they make.
pub(crate) fn sort_keys(entries: &mut [(String, Tree)]) {
    entries.sort_by(|a, b| compare_keys(&a.0, &b.0));
}

fn compare_keys(a: &str, b: &str) -> Ordering {
    a.cmp(b)
}

/// The whole configuration with defaults applied and secrets as `<secret>`: what `/config` shows.
pub fn config(config: &super::Config) -> String {
    let mut out = String::new();
    block(&mut out, &super::value::Write::tree(config), 4, 0);
    out
}

/// One module, as `debug=true` shows it.
pub fn module(module: &super::Module) -> String {
    let mut out = String::new();
    block(&mut out, &super::value::Write::tree(module), 2, 0);
    out
}

fn block(out: &mut String, tree: &Tree, indent: usize, depth: usize) {
    let Tree::Map(entries) = tree else { return };
    for (key, value) in entries {
        out.push_str(&" ".repeat(indent * depth));
        out.push_str(key);
        match value {
            Tree::Map(_) => {
                out.push_str(":\n");
                block(out, value, indent, depth + 1);
            }
            Tree::Text(text) => {
                out.push_str(": ");
                out.push_str(&String::from_utf8_lossy(text));
                out.push('\n');
            }
            other => {
                out.push_str(&format!(": {other:?}\n"));
            }
        }
    }
}
