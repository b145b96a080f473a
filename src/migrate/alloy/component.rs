//! What a `prometheus.exporter.blackbox` block says.

use super::super::{Links, Migration, Names, milliseconds};
use super::scope::Scopes;
use super::{EXPORTER, File, attribute};
use crate::config::files::targets::{Target, encoded, label_fault};
use alloy_syntax::{Attribute, Block, Statement, Value};

/// One exporter of the Alloy configuration.
pub(super) struct Component<'a> {
    pub file: &'a File<'a>,
    pub block: &'a Block,
    /// The scope in which its name is known.
    pub scope: usize,
    /// What Alloy puts before its id; unknown inside a `declare` that is used more than once.
    prefix: Option<String>,
    /// Label of the components that replace it.
    pub replacement: String,
    /// Targets that a targets file can hold, with the labels that Alloy's exporter gives them.
    pub targets: Vec<Target>,
    /// Targets that only Alloy can compute.
    pub computed: Vec<Computed>,
    /// Whether an address is requested with `%25` for its `%`.
    pub has_escapes: bool,
    /// The text of its modules.
    pub modules: Option<String>,
    /// The file of its modules, when it names one.
    pub config_file: Option<String>,
}

/// Targets that only Alloy can compute.
pub(super) struct Computed {
    pub line: usize,
    /// The text of a list.
    pub list: String,
    /// Whether addresses are among what is computed.
    pub has_unknown_addresses: bool,
}

/// All exporters of all files.
pub(super) fn find<'a>(scopes: &Scopes<'a>) -> Vec<Component<'a>> {
    let mut found = Vec::new();
    // What Alloy puts before the ids in a scope.
    let mut prefixes: Vec<Option<String>> = Vec::new();
    for (number, scope) in scopes.iter().enumerate() {
        let prefix = match scope.outer {
            None => Some(String::new()),
            Some(outer) => {
                let label = scope.declare.unwrap_or_default();
                let mut uses = scopes.get(outer).named(label).map(|(user, _)| &user.label);
                match (uses.next(), uses.next(), prefixes.get(outer)) {
                    (Some(only), None, Some(Some(prefix))) => Some(format!("{prefix}{label}.{only}/")),
                    _ => None,
                }
            }
        };
        for (block, file) in scope.named(EXPORTER) {
            found.push(Component {
                file,
                block,
                scope: number,
                prefix: prefix.clone(),
                replacement: String::new(),
                targets: Vec::new(),
                computed: Vec::new(),
                has_escapes: false,
                modules: None,
                config_file: None,
            });
        }
        prefixes.push(prefix);
    }
    found.sort_by_key(|component| (component.file.number, component.block.span.start));
    let mut names = Names::default();
    let top = scopes.get(0).blocks.iter();
    names.taken.extend(top.map(|(block, _)| block.label.clone()));
    for component in &mut found {
        component.replacement = names.unique(&format!("blackbox_{}", component.block.label), "_");
    }
    found
}

impl Component<'_> {
    /// Where a note is about.
    pub fn at(&self, line: usize) -> String {
        self.file.place(line)
    }

    /// The reference to its targets.
    pub fn output(&self) -> String {
        format!("{EXPORTER}.{}.targets", self.block.label)
    }

    /// Alloy's id of it, which is the built-in `instance`.
    pub fn id(&self) -> Option<String> {
        Some(format!(
            "{}{EXPORTER}.{}",
            self.prefix.as_ref()?,
            self.block.label
        ))
    }

    /// Reads the block.
    pub fn read(&mut self, scopes: &Scopes<'_>, links: &Links<'_>, migration: &mut Migration) {
        let block = self.block;
        for statement in &block.body {
            match statement {
                Statement::Block(target) if target.name == "target" => self.read_target(target, migration),
                Statement::Block(other) => migration.lost.push(self.unknown(&other.name, other.line)),
                Statement::Attribute(argument) => self.read_argument(argument, scopes, links, migration),
            }
        }
        if self.targets.is_empty() && self.computed.is_empty() {
            migration
                .lost
                .push(format!("{}: there are no targets here", self.at(block.line)));
        }
        if self.id().is_none() {
            migration.lost.push(format!(
                "{}: `instance` was the component's id, which differs with each use of the block around it",
                self.at(block.line)
            ));
        }
    }

    fn unknown(&self, name: &str, line: usize) -> String {
        format!("{}: Alloy's exporter has no `{name}`", self.at(line))
    }

    fn read_argument(
        &mut self,
        argument: &Attribute,
        scopes: &Scopes<'_>,
        links: &Links<'_>,
        migration: &mut Migration,
    ) {
        let at = self.at(argument.line);
        match (argument.name.as_str(), &argument.value) {
            ("config", Value::Text(text)) => self.modules = Some(text.clone()),
            ("config_file", Value::Text(file)) => {
                self.config_file = Some(file.clone());
                self.modules = read_file(links, file, &at, migration);
            }
            ("config", Value::Expression(text)) if self.local_file(text, scopes).is_some() => {
                let file = self.local_file(text, scopes).unwrap_or_default();
                self.modules = read_file(links, &file, &at, migration);
                self.config_file = Some(file);
            }
            ("config" | "config_file", value) => migration.lost.push(format!(
                "{at}: `{} = {value}` is computed by Alloy: give the exporter these modules with --config.file",
                argument.name
            )),
            ("probe_timeout_offset", Value::Text(text)) => match milliseconds(text) {
                Some(ms) => migration.offsets.push((ms as f64 / 1000.0).to_string()),
                None => migration.lost.push(format!("{at}: probe_timeout_offset: {text:?} is not a duration")),
            },
            ("targets", Value::List(list)) => {
                for entry in list {
                    match entry {
                        Value::Object(fields) => self.read_entry(fields, argument.line, migration),
                        computed => self.compute(argument.line, format!("[{computed}]")),
                    }
                }
            }
            ("targets", computed) => self.compute(argument.line, computed.to_string()),
            ("probe_timeout_offset", value) => migration
                .lost
                .push(format!("{at}: `{} = {value}` is computed by Alloy", argument.name)),
            (name, _) => migration.lost.push(self.unknown(name, argument.line)),
        }
    }

    /// Adds a list of which nothing is known.
    fn compute(&mut self, line: usize, list: String) {
        self.computed.push(Computed {
            line,
            list,
            has_unknown_addresses: true,
        });
    }

    /// The file behind `local.file.NAME.content`.
    fn local_file(&self, expression: &str, scopes: &Scopes<'_>) -> Option<String> {
        let name = expression
            .trim_start_matches("convert.nonsensitive(")
            .trim_start_matches("nonsensitive(")
            .trim_end_matches(')')
            .strip_prefix("local.file.")?
            .strip_suffix(".content")?;
        let (block, _) = scopes.get(self.scope).block("local.file", name)?;
        match &attribute(block, "filename")?.value {
            Value::Text(file) => Some(file.clone()),
            _ => None,
        }
    }

    /// `target { name = … }`, and `target "name" { … }` as it was before.
    fn read_target(&mut self, block: &Block, migration: &mut Migration) {
        let mut raw = Raw::default();
        if !block.label.is_empty() {
            raw.name = Some(Value::Text(block.label.clone()));
        }
        for statement in &block.body {
            match statement {
                Statement::Attribute(a) => match (a.name.as_str(), &a.value) {
                    ("name", value) => raw.name = Some(value.clone()),
                    ("address", value) => raw.address = Some(value.clone()),
                    ("module", value) => raw.module = Some(value.clone()),
                    ("labels", Value::Object(fields)) => raw.labels.clone_from(fields),
                    ("labels", value) => migration.lost.push(format!(
                        "{}: `labels = {value}` is computed by Alloy: these labels are missing",
                        self.at(a.line)
                    )),
                    (name, _) => migration.lost.push(self.unknown(name, a.line)),
                },
                Statement::Block(inner) => migration.lost.push(self.unknown(&inner.name, inner.line)),
            }
        }
        self.push(raw, block.line, true, migration);
    }

    /// An element of `targets = [ … ]`: every other key is a label.
    fn read_entry(&mut self, fields: &[(String, Value)], line: usize, migration: &mut Migration) {
        let mut raw = Raw::default();
        let mut fallback = None;
        for (key, value) in fields {
            match key.as_str() {
                "name" => raw.name = Some(value.clone()),
                "address" => raw.address = Some(value.clone()),
                "__address__" => fallback = Some(value.clone()),
                "module" => raw.module = Some(value.clone()),
                _ => raw.labels.push((key.clone(), value.clone())),
            }
        }
        raw.address = raw.address.or(fallback);
        self.push(raw, line, false, migration);
    }

    fn push(&mut self, raw: Raw, line: usize, block: bool, migration: &mut Migration) {
        let (Some(name), Some(address)) = (&raw.name, &raw.address) else {
            let at = self.at(line);
            migration
                .lost
                .push(format!("{at}: a target without a name or an address"));
            return;
        };
        let (name, address) = (name.clone(), address.clone());
        let at = self.at(line);
        // Alloy's exporter probes an address as it is written; `/probe` decodes it once more than the query.
        let known = literal(&address);
        self.has_escapes |= known.is_some_and(|address| encoded(address) != address);
        if raw.needs_alloy() {
            for (label, _) in raw.labels.iter().filter(|(label, _)| block && is_field(label)) {
                migration.lost.push(format!(
                    "{at}: the label {label:?} of a target that Alloy computes"
                ));
            }
            let has_unknown_addresses = known.is_none();
            let address = known.map_or_else(|| address.clone(), |known| Value::Text(encoded(known).into()));
            self.computed.push(Computed {
                line,
                list: raw.as_element(&name, &address, block),
                has_unknown_addresses,
            });
            return;
        }
        let mut target = Target {
            name: text(&name),
            address: text(&address),
            module: raw.module.as_ref().map(text).unwrap_or_default(),
            // Neither label is there with Alloy's exporter.
            labels: ["target", "module"]
                .map(|label| (label.to_owned(), String::new()))
                .into(),
            ..Target::default()
        };
        if target.name.is_empty() || target.address.is_empty() {
            migration
                .lost
                .push(format!("{at}: a target without a name or an address"));
            return;
        }
        for (label, value) in &raw.labels {
            let value = text(value);
            match label.as_str() {
                "job" | "instance" => migration.hints.push(format!(
                    "{at}: the label {label:?} is left out, as Alloy's own replaces it"
                )),
                "__param_hostname" => target.hostname = value,
                "__param_module" if target.module.is_empty() => target.module = value,
                "__scrape_interval__" => target.interval = milliseconds(&value),
                "__scrape_timeout__" => target.timeout = milliseconds(&value),
                // Alloy's own replace the first; the exporter has no further parameters.
                label if label.starts_with("__") => {}
                label => drop(target.labels.insert(label.to_owned(), value)),
            }
        }
        let job = format!("integrations/blackbox/{}", target.name);
        target.labels.insert("job".to_owned(), job);
        self.targets.push(target);
    }
}

fn read_file(links: &Links<'_>, file: &str, at: &str, migration: &mut Migration) -> Option<String> {
    match links(file) {
        Ok(inputs) => Some(inputs.into_iter().map(|input| input.text).collect()),
        Err(error) => {
            migration
                .unread
                .push(format!("{at}: the modules of {file}: {error}"));
            None
        }
    }
}

/// A target as it was written.
#[derive(Default)]
struct Raw {
    name: Option<Value>,
    address: Option<Value>,
    module: Option<Value>,
    labels: Vec<(String, Value)>,
}

impl Raw {
    /// Whether a targets file cannot hold it: something is computed, or a label is only there for relabelling.
    fn needs_alloy(&self) -> bool {
        let is_literal = |value: &Value| literal(value).is_some();
        let named = [&self.name, &self.address, &self.module];
        !named.into_iter().flatten().all(is_literal)
            || !self.labels.iter().all(|(label, value)| {
                let known = [
                    "__param_",
                    "__address__",
                    "__scheme__",
                    "__metrics_path__",
                    "__scrape_",
                ];
                is_literal(value)
                    && (label_fault(label).is_none() || known.iter().any(|known| label.starts_with(known)))
            })
    }

    /// It as an element of a list of targets.
    fn as_element(&self, name: &Value, address: &Value, block: bool) -> String {
        let mut fields = vec![
            ("name".to_owned(), name.clone()),
            ("address".to_owned(), address.clone()),
        ];
        fields.extend(self.module.clone().map(|module| ("module".to_owned(), module)));
        let labels = self
            .labels
            .iter()
            .filter(|(label, _)| !(block && is_field(label)));
        fields.extend(labels.cloned());
        format!("[{}]", Value::Object(fields))
    }
}

/// Keys of an element of `targets` that are no labels.
fn is_field(label: &str) -> bool {
    ["name", "address", "module", "__address__"].contains(&label)
}

fn literal(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}
