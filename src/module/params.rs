//! Parameters that a scrape may set: checked against what the module allows, and made a module of their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Module, Problems};
use crate::check::regexp::Regexp;
use crate::config;

/// The parameters of a module.
#[derive(Debug)]
pub struct Params {
    rules: Vec<Rule>,
    /// Modules that were made of values which come again and again: one compiles in a millisecond, not in no time.
    made: Mutex<HashMap<Vec<Option<String>>, Arc<Module>>>,
}

#[derive(Debug)]
struct Rule {
    name: String,
    matches: Option<Regexp>,
    one_of: Vec<String>,
    required: bool,
    secret: bool,
}

/// Why a value was refused.
#[derive(Debug)]
pub struct Refused {
    /// The parameter.
    pub param: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Most bytes of a value.
const LONGEST: usize = 4 << 10;
/// Most modules that are kept.
const MOST_MADE: usize = 256;

impl Params {
    /// Compiles the rules; `None` when there are none.
    pub(super) fn compile(raw: &config::Module, problems: &mut Problems) -> Option<Box<Self>> {
        let mut rules = Vec::with_capacity(raw.params.len());
        for (name, param) in &raw.params {
            if !raw.has_param(name) {
                let message = format!(
                    "the {} prober has no setting {name:?} of one value",
                    raw.prober.name()
                );
                problems.report(format!("params.{name}"), message);
            }
            let matches = (!param.matches.is_empty()).then(|| {
                let anchored = format!("^(?:{})$", param.matches);
                problems
                    .regexp(&anchored)
                    .map_err(|error| problems.report_regexp(format!("params.{name}.matches"), &error))
                    .ok()
            });
            rules.push(Rule {
                name: name.clone(),
                matches: matches.flatten(),
                one_of: param.one_of.clone(),
                required: param.required,
                secret: param.secret,
            });
        }
        (!rules.is_empty()).then(|| {
            Box::new(Self {
                rules,
                made: Mutex::default(),
            })
        })
    }

    /// The module with the values of a scrape; `value` tells each parameter's, empty when it is not given.
    ///
    /// # Errors
    /// A value that is not allowed.
    pub fn apply(
        &self,
        module: &Arc<Module>,
        value: impl Fn(&str) -> String,
    ) -> Result<Arc<Module>, Refused> {
        let values = self.judge(value)?;
        if values.iter().all(Option::is_none) {
            return Ok(Arc::clone(module));
        }
        let made = |made: &HashMap<_, Arc<Module>>| made.get(&values).cloned();
        if let Some(known) = made(&self.made.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(known);
        }
        let new = self.make(module, &values)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= MOST_MADE {
            made.clear();
        }
        made.insert(values, Arc::clone(&new));
        Ok(new)
    }

    /// Whether there is a parameter of that name.
    pub fn has(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| rule.name == name)
    }

    /// The value of each rule, in their order.
    fn judge(&self, value: impl Fn(&str) -> String) -> Result<Vec<Option<String>>, Refused> {
        let mut values = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let value = value(&rule.name);
            let refused = |reason: String| Refused {
                param: rule.name.clone(),
                reason,
            };
            if value.is_empty() {
                if rule.required {
                    return Err(refused("it is required".to_owned()));
                }
                values.push(None);
                continue;
            }
            rule.judge(&value).map_err(refused)?;
            values.push(Some(value));
        }
        Ok(values)
    }

    fn make(&self, module: &Module, values: &[Option<String>]) -> Result<Arc<Module>, Refused> {
        let mut raw = config::Module::clone(&module.raw);
        let mut last = String::new();
        for (rule, value) in self.rules.iter().zip(values) {
            let Some(value) = value else { continue };
            raw.set_param(&rule.name, value).map_err(|reason| Refused {
                param: rule.name.clone(),
                reason,
            })?;
            if rule.secret {
                raw.expanded.push((value.clone(), "<secret>".to_owned()));
            }
            last.clone_from(&rule.name);
        }
        // The rules are the first module's; this one is asked nothing more.
        raw.params.clear();
        let mut problems = Problems::default();
        let mut made = Module::compile(&module.name, &Arc::new(raw), &mut problems);
        made.exposition = module.exposition;
        match problems.found() {
            [] => Ok(Arc::new(made)),
            [problem, ..] => Err(Refused {
                param: last,
                reason: problem.message.clone(),
            }),
        }
    }
}

impl Rule {
    fn judge(&self, value: &str) -> Result<(), String> {
        if value.len() > LONGEST {
            return Err(format!("it has more than {LONGEST} bytes"));
        }
        if value.chars().any(char::is_control) {
            return Err("it has control characters".to_owned());
        }
        if !self.one_of.is_empty() && !self.one_of.iter().any(|allowed| allowed == value) {
            return Err(format!("it must be one of {}", self.one_of.join(", ")));
        }
        let matches = |regexp: &Regexp| regexp.captures(value.as_bytes()).is_some();
        match &self.matches {
            Some(regexp) if !matches(regexp) => Err(format!("it does not match {}", regexp.source())),
            _ => Ok(()),
        }
    }
}
