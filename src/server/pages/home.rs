//! `/` for browsers: a form, the wall of all targets, the modules.

use askama::Template;

use super::params::{self, ParamsForm};
use super::wall::{Filter, WallView};
use crate::config::files::targets::DEFAULT_MODULE;
use crate::display::passive;
use crate::server::Exporter;

/// Most modules that the page names.
const MODULES: usize = 200;

struct ModuleLine {
    name: String,
    prober: &'static str,
    /// Where the form has its parameters, if it has some.
    form: Option<String>,
}

#[derive(Template)]
#[template(path = "home.html")]
pub struct Home {
    trouble: Option<String>,
    left_out: Vec<String>,
    default_module: String,
    modules: Vec<ModuleLine>,
    more_modules: usize,
    forms: Vec<ParamsForm>,
    wall: WallView,
    playground: bool,
}

impl Home {
    /// The page with the rows that `filter` wants, and the form for the module `named`, if there is one.
    pub fn new(exporter: &Exporter, filter: &Filter, named: &str) -> Self {
        let serving = exporter.store.current();
        // The configuration has them in the order of their names; a module without a body is no module.
        let all = &serving.config.modules;
        let modules: Vec<_> = all
            .iter()
            .filter_map(|(name, module)| Some((name, module.as_ref()?)))
            .take(MODULES)
            .map(|(name, module)| ModuleLine {
                name: name.clone(),
                prober: module.prober.name(),
                form: (!module.params.is_empty()).then(|| params::place(name)),
            })
            .collect();
        let default = [named, DEFAULT_MODULE]
            .into_iter()
            .find(|name| all.contains_key(*name));
        let default = default.or_else(|| all.keys().next().map(String::as_str));
        Self {
            forms: ParamsForm::all(&serving.modules, default.unwrap_or_default()),
            trouble: exporter.store.trouble().map(|trouble| passive(&trouble)),
            left_out: serving.left_out.iter().map(|file| passive(file)).collect(),
            default_module: default.unwrap_or_default().to_owned(),
            more_modules: all.len() - modules.len(),
            modules,
            wall: WallView::new(exporter, filter),
            playground: exporter.playground.is_some(),
        }
    }
}
