//! The configuration as text: `/config`, `debug=true` and the pages. Defaults are applied, secrets are `<secret>`.

mod emitter;
mod order;
mod style;

use super::codec::tree::Tree;
use super::codec::value::Value as _;
use super::codec::yaml_version::YamlVersion;
use super::files::configuration::Config;
use super::module::{Module, Prober};
use emitter::emit;

/// The whole configuration as `/config` shows it: as go.yaml.in/yaml/v3 writes it.
pub fn config(config: &Config) -> String {
    emit(config.tree(), YamlVersion::V3)
}

/// One module as `debug=true` shows it: as go.yaml.in/yaml/v2 writes it.
pub fn module(module: &Module) -> String {
    emit(module.shown(), YamlVersion::V2)
}

/// A configuration of one module that says what is not the default, for people to edit. Secrets are `<secret>`, as in all texts.
pub fn draft(name: &str, module: &Module) -> String {
    let prober = module.prober;
    let is_section = |key: &str| Prober::ALL.iter().any(|prober| prober.name() == key);
    let mut settings = entries(module.tree());
    settings.retain(|(key, _)| !is_section(key));
    let section = changes(section(module, prober), section(&Module::new(prober), prober));
    if section != Tree::Section(Vec::new()) {
        settings.push((prober.name().to_owned(), section));
    }
    let mut settings = Tree::Section(settings);
    module.unexpand(&mut settings);
    let modules = vec![(name.to_owned(), settings)];
    emit(
        Tree::Section(vec![("modules".to_owned(), Tree::Map(modules))]),
        YamlVersion::V2,
    )
}

fn section(module: &Module, prober: Prober) -> Tree {
    match prober {
        Prober::Http => module.http.tree(),
        Prober::Tcp => module.tcp.tree(),
        Prober::Icmp => module.icmp.tree(),
        Prober::Dns => module.dns.tree(),
        Prober::Grpc => module.grpc.tree(),
        Prober::Unix => module.unix.tree(),
        Prober::Websocket => module.websocket.tree(),
    }
}

fn entries(tree: Tree) -> Vec<(String, Tree)> {
    match tree {
        Tree::Section(entries) => entries,
        _ => Vec::new(),
    }
}

/// The entries of a section that differ from the default's. What has Go's zero value is not printed otherwise.
fn changes(section: Tree, default: Tree) -> Tree {
    let (section, default) = (entries(section), entries(default));
    let is_absent = |key: &str| !section.iter().any(|(other, _)| other == key);
    let zeros = default
        .iter()
        .filter(|(key, _)| is_absent(key))
        .filter_map(|(key, value)| {
            let zero = match value {
                Tree::Bool(_) => Tree::Bool(false),
                Tree::Int(_) => Tree::Int(0),
                Tree::Text(_) => Tree::text(""),
                _ => return None,
            };
            Some((key.clone(), zero))
        });
    let zeros: Vec<_> = zeros.collect();
    let changed = section.into_iter().filter(|entry| !default.contains(entry));
    Tree::Section(changed.chain(zeros).collect())
}

#[cfg(test)]
mod tests;
