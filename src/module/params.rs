//! Parameters that a scrape may set: checked against what the module allows, and made a module of their own.
//!
//! What a value costs is bounded whatever it is: it has at most 4 KiB, an expression in it must be small, and the modules that were
//! made are kept in [one place](Variants) of a fixed size.

use std::borrow::Cow;
use std::iter;
use std::sync::Arc;

use super::grpc::metadata_headers;
use super::variants::{Values, Variants};
use super::{Module, Problems};
use crate::carried;
use crate::check::regexp::Regexp;
use crate::config::{self, Expanded, MASK, Prober, Setting};
use crate::net::headers::is_token;

/// The parameters of a module.
#[derive(Debug)]
pub struct Params {
    rules: Vec<Rule>,
    made: Arc<Variants>,
}

/// One parameter.
#[derive(Debug)]
pub struct Rule {
    name: String,
    setting: Setting,
    matches: Option<Regexp>,
    one_of: Vec<String>,
    required: bool,
    secret: bool,
}

/// A parameter that a scrape gave, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Given {
    /// Its name.
    pub name: Box<str>,
    /// Its value, or what is shown instead.
    pub value: Box<str>,
}

/// Why a value was refused.
#[derive(Debug)]
pub struct ParamError {
    /// The parameter.
    pub param: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What a scrape gives for a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamInput {
    /// Nothing, or nothing in it.
    Nothing,
    /// One value, what is not UTF-8 [carried].
    Once(String),
    /// More than one.
    Several,
}

impl From<Option<&String>> for ParamInput {
    fn from(value: Option<&String>) -> Self {
        match value {
            Some(value) if !value.is_empty() => Self::Once(value.clone()),
            _ => Self::Nothing,
        }
    }
}

/// Most bytes of a value.
const LONGEST: usize = 4 << 10;
/// Fewest bytes of a secret one: shorter texts cannot be hidden, as they are found everywhere.
const SHORTEST_SECRET: usize = 4;

impl Params {
    /// Compiles the rules; `None` when there are none.
    pub(super) fn compile(raw: &config::Module, problems: &mut Problems) -> Option<Box<Self>> {
        let mut rules = Vec::with_capacity(raw.params.len());
        for (name, param) in &raw.params {
            let matches = (!param.matches.is_empty()).then(|| {
                // As it is, too: put together with what surrounds it, two halves could make a whole.
                let whole = problems.regexp(&param.matches);
                let anchored = whole.and_then(|_| problems.regexp(&format!("^(?:{})$", param.matches)));
                anchored
                    .map_err(|error| problems.report_regexp(format!("params.{name}.matches"), &error))
                    .ok()
            });
            let Some(setting) = raw.setting(name) else {
                let message = format!(
                    "the {} prober has no setting {name:?} of one value",
                    raw.prober.name()
                );
                problems.report(format!("params.{name}"), message);
                continue;
            };
            if let Some(header) = setting.header()
                && let Err(message) = judge_header(raw.prober, header)
            {
                problems.report(format!("params.{name}"), message);
            }
            rules.push(Rule {
                name: name.clone(),
                setting,
                matches: matches.flatten(),
                one_of: param.one_of.iter().map(|choice| choice.value.clone()).collect(),
                required: param.required,
                secret: param.is_secret(),
            });
        }
        for rule in &rules {
            rule.warn(raw, problems);
        }
        (!rules.is_empty()).then(|| {
            Box::new(Self {
                rules,
                made: Arc::clone(&problems.variants),
            })
        })
    }

    /// The rules, in the order of their names.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether there is a parameter of that name.
    pub fn has(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| rule.name == name)
    }

    /// Judges what a scrape gives for each parameter. None is in the result when it gives none.
    ///
    /// # Errors
    /// A value that is not allowed.
    pub fn judge(&self, asked: impl Fn(&str) -> ParamInput) -> Result<Option<Values>, ParamError> {
        let mut values = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let refused = |reason: String| ParamError {
                param: rule.name.clone(),
                reason,
            };
            values.push(match asked(&rule.name) {
                ParamInput::Once(value) => {
                    rule.judge(&value).map_err(refused)?;
                    Some(value)
                }
                ParamInput::Several => return Err(refused("it is given more than once".to_owned())),
                ParamInput::Nothing if rule.required => return Err(refused("it is required".to_owned())),
                ParamInput::Nothing => None,
            });
        }
        Ok(values.iter().any(Option::is_some).then_some(Values(values)))
    }

    /// The module with these values, if it was made already.
    pub fn known(&self, module: &Module, values: &Values) -> Option<Arc<Module>> {
        self.made.find(&module.name, values)
    }

    /// Makes the module with these values. That takes up to some milliseconds.
    ///
    /// # Errors
    /// Values that the configuration would not have been loaded with.
    pub fn make(&self, module: &Module, values: Values) -> Result<Arc<Module>, ParamError> {
        let given: Vec<(&Rule, &str)> = self
            .rules
            .iter()
            .zip(&values.0)
            .filter_map(|(rule, value)| Some((rule, value.as_deref()?)))
            .collect();
        let refused = |index: usize, reason: String| match given.get(index).or(given.last()) {
            Some((rule, _)) if rule.secret => ParamError {
                param: rule.name.clone(),
                reason: format!("its value is not one that {} can have", rule.name),
            },
            Some((rule, _)) => ParamError {
                param: rule.name.clone(),
                reason,
            },
            None => ParamError {
                param: String::new(),
                reason,
            },
        };
        let mut raw = config::Module::clone(&module.raw);
        let settings = given.iter().map(|(rule, value)| (&rule.setting, *value));
        raw.set_params(settings)
            .map_err(|unfit| refused(unfit.index, unfit.reason))?;
        let hidden = given.iter().filter(|(rule, _)| rule.secret);
        let masked: Vec<Expanded> = hidden
            .map(|(rule, value)| Expanded::masked(raw.path_of(&rule.setting), value))
            .collect();
        raw.expanded.extend(masked);
        // The rules are the first module's; this one is asked nothing more.
        raw.params.clear();
        let mut problems = Problems::of_variant(module);
        let mut made = Module::compile(&module.name, &Arc::new(raw), &mut problems);
        if let [problem, ..] = problems.found() {
            // Of the values or of their combination.
            let path = problem.path.split('[').next().unwrap_or_default();
            let last = path.rsplit('.').next().unwrap_or_default();
            let index = given.iter().position(|(rule, _)| rule.name == last);
            return Err(refused(index.unwrap_or(usize::MAX), problem.message.clone()));
        }
        made.exposition = module.exposition;
        let names = given.iter().filter(|(rule, _)| rule.setting.is_name());
        made.given_names = names.map(|(_, value)| (*value).to_owned()).collect();
        made.given = given
            .iter()
            .map(|(rule, value)| Given {
                name: rule.name.as_str().into(),
                value: rule.shown(value).into(),
            })
            .collect();
        let made = Arc::new(made);
        // How large an expression becomes is known to nobody.
        if !given.iter().any(|(rule, _)| rule.setting.is_expression()) {
            self.made.keep(&module.name, values, &made);
        }
        Ok(made)
    }

    /// Judges and makes, for who is not in a hurry. Without values it is the module itself.
    ///
    /// # Errors
    /// As [`judge`](Self::judge) and [`make`](Self::make).
    pub fn apply(
        &self,
        module: &Arc<Module>,
        asked: impl Fn(&str) -> ParamInput,
    ) -> Result<Arc<Module>, ParamError> {
        match self.judge(asked)? {
            Some(values) => self.make(module, values),
            None => Ok(Arc::clone(module)),
        }
    }
}

/// Whether requests can have a header, or metadata, of that name.
fn judge_header(prober: Prober, name: &str) -> Result<(), String> {
    match prober {
        Prober::Grpc => metadata_headers([(&name.to_owned(), &Vec::new())]).map(|_| ()),
        _ if is_token(name.as_bytes()) => Ok(()),
        _ => Err(format!("{name:?} is not the name of a header")),
    }
}

/// Most allowed values of a parameter that are tried at load.
const MOST_TRIED: usize = 20;

impl Rule {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The setting that it sets.
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// The expression that the whole value must match.
    pub fn pattern(&self) -> Option<&str> {
        // Without what anchors it.
        let source = self.matches.as_ref()?.source();
        source.strip_prefix("^(?:")?.strip_suffix(")$")
    }

    /// The values that it may have; any when empty.
    pub fn choices(&self) -> Vec<String> {
        match self.one_of.as_slice() {
            [] => self.setting.words(),
            some => some.to_vec(),
        }
    }

    /// Whether a scrape must give it.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Whether its value is kept out of pages and logs.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// A value as pages and logs show it.
    pub fn shown<'v>(&self, value: &'v str) -> Cow<'v, str> {
        match self.secret {
            true => MASK.into(),
            false => self.setting.shown(value),
        }
    }

    /// Warns of allowed values that a scrape cannot give alone. Trying one costs as much as making the module, so that of many only some are tried.
    fn warn(&self, raw: &config::Module, problems: &mut Problems) {
        // Any text will do for a header.
        let takes_any = self.setting.header().is_some();
        if self.one_of.is_empty() || (takes_any && self.matches.is_none() && !self.secret) {
            return;
        }
        // A module that needs a parameter tells nothing of another one alone.
        let is_tried = !takes_any && raw.clone().set_params(iter::empty()).is_ok();
        for (index, value) in self.one_of.iter().take(MOST_TRIED).enumerate() {
            let set = || {
                let given = iter::once((&self.setting, value.as_str()));
                raw.clone().set_params(given).map_err(|unfit| unfit.reason)
            };
            let judged = self
                .judge(value)
                .and_then(|()| if is_tried { set() } else { Ok(()) });
            if let Err(reason) = judged {
                let reason = if self.secret { "" } else { &reason };
                let path = format!("params.{}.one_of[{index}]", self.name);
                let message = format!("a scrape that sets nothing else is refused with this value: {reason}");
                problems.warn(path, message.trim_end_matches(": "), None);
            }
        }
    }

    fn judge(&self, value: &str) -> Result<(), String> {
        if value.len() > LONGEST {
            return Err(format!("it has more than {LONGEST} bytes"));
        }
        if std::str::from_utf8(&carried::bytes(value)).is_err() {
            return Err("it is not UTF-8".to_owned());
        }
        if value.chars().any(char::is_control) {
            return Err("it has control characters".to_owned());
        }
        if self.secret && !self.setting.is_sent_only() && value.len() < SHORTEST_SECRET {
            return Err(format!("a secret has at least {SHORTEST_SECRET} bytes"));
        }
        if !self.one_of.is_empty() && !self.one_of.iter().any(|allowed| allowed == value) {
            return Err(match self.secret {
                true => "it is none of the values that are allowed".to_owned(),
                false => format!("it must be one of {}", self.one_of.join(", ")),
            });
        }
        let matches = |regexp: &Regexp| regexp.is_match(value.as_bytes());
        match (&self.matches, self.pattern()) {
            (Some(regexp), Some(pattern)) if !matches(regexp) => Err(format!("it does not match {pattern}")),
            _ => Ok(()),
        }
    }
}
