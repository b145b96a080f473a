//! The configuration as text: `/config`, `debug=true` and the pages. Defaults are applied, secrets are `<secret>`.

mod emitter;
mod order;
mod style;

use super::value::Write as _;
use super::{Config, Module};
use emitter::{Dialect, emit};

/// The whole configuration as `/config` shows it: as go.yaml.in/yaml/v3 writes it.
pub fn config(config: &Config) -> String {
    emit(config.tree(), Dialect::V3)
}

/// One module as `debug=true` shows it: as go.yaml.in/yaml/v2 writes it.
pub fn module(module: &Module) -> String {
    emit(module.shown(), Dialect::V2)
}

#[cfg(test)]
mod tests;
