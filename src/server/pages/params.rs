//! The parameters of modules as fields of the form.

use std::collections::BTreeMap;

use askama::Template;

use super::result::parameter;
use super::story::LONG;
use crate::display::short;
use crate::module::{Module, Modules, Rule};

/// Most fields of one page: the rest is shown when its module is asked for.
const FIELDS: usize = 300;
/// Most choices of a field; with more of them a value is typed.
const CHOICES: usize = 100;

/// The fields of one module.
#[derive(Template)]
#[template(path = "params.html")]
pub struct ParamsForm {
    module: String,
    /// Whether it is that of the module that the form names.
    is_shown: bool,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    kind: &'static str,
    /// What it may be.
    hint: String,
    choices: Vec<String>,
    input: &'static str,
    is_required: bool,
}

impl ParamsForm {
    /// Those of all modules that have parameters, as far as they fit beside those of the module of that name.
    pub fn all(modules: &Modules, shown: &str) -> Vec<Self> {
        let with_params: BTreeMap<&str, &Module> = modules
            .iter()
            .filter(|module| module.params.is_some())
            .map(|module| (&*module.name, &**module))
            .collect();
        let mut room = FIELDS;
        let first = with_params.get(shown).into_iter();
        let others = with_params.values().filter(|module| *module.name != *shown);
        first
            .chain(others)
            .map(|module| Self::new(module, shown))
            .take_while(|form| {
                let fits = form.is_shown || form.fields.len() <= room;
                room = room.saturating_sub(form.fields.len());
                fits
            })
            .collect()
    }

    fn new(module: &Module, shown: &str) -> Self {
        let rules = module.params.iter().flat_map(|params| params.rules());
        Self {
            module: module.name.to_string(),
            is_shown: *module.name == *shown,
            fields: rules.map(Field::new).collect(),
        }
    }
}

impl Field {
    fn new(rule: &Rule) -> Self {
        let choices = match rule.is_secret() {
            true => Vec::new(),
            false => rule.choices(),
        };
        Self {
            name: rule.name().to_owned(),
            kind: match choices.as_slice() {
                [] => rule.setting().kind(),
                _ => "choice",
            },
            hint: rule
                .pattern()
                .map_or_else(String::new, |pattern| format!("matches {}", short(pattern, LONG))),
            choices: if choices.len() > CHOICES {
                Vec::new()
            } else {
                choices
            },
            input: if rule.is_secret() { "password" } else { "text" },
            is_required: rule.is_required(),
        }
    }
}

/// The page whose form has the fields of a module.
pub fn place(module: &str) -> String {
    format!("./?{}", parameter("form", module))
}
