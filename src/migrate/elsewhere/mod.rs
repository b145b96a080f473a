//! Reads the configurations of other probers: what they probe becomes targets, how they probe becomes modules.
//!
//! Each program has a file of its own, which walks through the configuration as JSON-like data and adds to a [`Draft`].

mod cloudprober;
mod gatus;
mod ping_exporter;
mod settings;
mod smokeping;
mod ssl_exporter;
mod telegraf;
mod textproto;
mod uptime_kuma;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Map, Value, json};

use self::settings::Settings;
use super::{MigrateError, Migration, Names};
use crate::config::files::targets::{Target, format_milliseconds, label_fault};
use crate::config::yaml::{Content, Document, Id};

/// A program whose configuration can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `SuperQ/smokeping_prober`
    Smokeping,
    /// `czerwonk/ping_exporter`
    PingExporter,
    /// `ribbybibby/ssl_exporter`
    SslExporter,
    /// `cloudprober/cloudprober`
    Cloudprober,
    /// `TwiN/gatus`
    Gatus,
    /// A backup of `louislam/uptime-kuma`
    UptimeKuma,
    /// `influxdata/telegraf`
    Telegraf,
}

impl Program {
    /// Every program, by the name that `--from` takes.
    pub const ALL: [(&'static str, Self); 7] = [
        ("smokeping_prober", Self::Smokeping),
        ("ping_exporter", Self::PingExporter),
        ("ssl_exporter", Self::SslExporter),
        ("cloudprober", Self::Cloudprober),
        ("gatus", Self::Gatus),
        ("uptime-kuma", Self::UptimeKuma),
        ("telegraf", Self::Telegraf),
    ];

    /// The program whose configuration this looks like.
    pub fn of(text: &str) -> Option<Self> {
        let line = |start: &str| text.lines().any(|line| line.starts_with(start));
        if text.contains("\"monitorList\"") {
            Some(Self::UptimeKuma)
        } else if text.contains("[[inputs.") {
            Some(Self::Telegraf)
        } else if line("probe {") || line("probe:{") || line("probe: {") {
            Some(Self::Cloudprober)
        } else if line("endpoints:") {
            Some(Self::Gatus)
        } else if line("scrape_configs:") {
            None
        } else if line("targets:") {
            let hosts = text
                .lines()
                .any(|line| line.trim_start_matches(['-', ' ']).starts_with("hosts:"));
            Some(if hosts {
                Self::Smokeping
            } else {
                Self::PingExporter
            })
        } else {
            line("modules:").then_some(Self::SslExporter)
        }
    }
}

pub(super) fn read(program: Program, text: &str, whole_set: bool) -> Result<Migration, MigrateError> {
    let mut draft = Draft::default();
    match program {
        Program::Smokeping => smokeping::read(yaml(text)?, &mut draft),
        Program::PingExporter => ping_exporter::read(yaml(text)?, &mut draft),
        Program::SslExporter => ssl_exporter::read(yaml(text)?, &mut draft),
        Program::Gatus => gatus::read(yaml(text)?, &mut draft),
        Program::Cloudprober => {
            cloudprober::read(textproto::parse(text).map_err(MigrateError::Syntax)?, &mut draft)
        }
        Program::UptimeKuma => {
            let value =
                serde_json::from_str(text).map_err(|error| MigrateError::Syntax(error.to_string()))?;
            uptime_kuma::read(value, &mut draft);
        }
        Program::Telegraf => {
            if is_nested_too_deeply(text) {
                return Err(MigrateError::Syntax("nested too deeply".to_owned()));
            }
            let value =
                basic_toml::from_str(text).map_err(|error| MigrateError::Syntax(error.to_string()))?;
            telegraf::read(value, &mut draft);
        }
    }
    if matches!(program, Program::Gatus | Program::Telegraf) {
        draft.expand_references();
    }
    draft.finish(whole_set)
}

/// Whether TOML nests deeper than any configuration does, by brackets or by keys with dots: the reader of it follows with its
/// stack, and in quadratic time. Brackets in texts count, too.
fn is_nested_too_deeply(text: &str) -> bool {
    const DEEPEST: usize = 100;
    deepest(text) > DEEPEST || text.lines().any(|line| dots_outside_quotes(line) > DEEPEST)
}

/// How many dots there are in a line's key.
fn dots_outside_quotes(line: &str) -> usize {
    let (mut is_quoted, mut dots) = (false, 0);
    for byte in line.bytes() {
        match byte {
            b'"' | b'\'' => is_quoted = !is_quoted,
            b'.' if !is_quoted => dots += 1,
            b'=' if !is_quoted => break,
            _ => {}
        }
    }
    dots
}

/// How many brackets are open at most.
fn deepest(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// What becomes of a configuration.
#[derive(Default)]
struct Draft {
    migration: Migration,
    modules: Vec<(String, Value)>,
    names: Names,
    /// The modules' names by what they contain.
    known: HashMap<String, String>,
}

impl Draft {
    fn lost(&mut self, what: String) {
        self.migration.lost.push(what);
    }

    fn hint(&mut self, what: &str) {
        self.migration.hints.push(what.to_owned());
    }

    /// The name of a module of a prober with a timeout and the settings of its section that are not empty; equal modules
    /// are one.
    fn module(&mut self, name: &str, prober: &str, timeout: Option<u64>, settings: Value) -> String {
        let body = body(prober, timeout, settings);
        match self.known.entry(body.to_string()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                let unique = place.insert(self.names.unique(name, "_")).clone();
                self.modules.push((unique.clone(), body));
                unique
            }
        }
    }

    fn target(&mut self, name: &str, address: &str, module: String, interval: Option<u64>) -> &mut Target {
        self.migration.targets.push(Target {
            name: name.to_owned(),
            address: address.to_owned(),
            module,
            interval,
            ..Target::default()
        });
        // Invariant: one was pushed.
        self.migration
            .targets
            .last_mut()
            .unwrap_or_else(|| unreachable!())
    }

    /// Writes references to environment variables as this exporter reads them, and names those where it reads none.
    fn expand_references(&mut self) {
        let Migration {
            targets, lost, hints, ..
        } = &mut self.migration;
        let mut lose = |place: &str, text: &str| {
            if let Some(reference) = reference(text) {
                lost.push(format!(
                    "{place}: the environment variable `{reference}` in {text:?}: write its value"
                ));
            }
        };
        for target in targets {
            let place = format!("target {:?}", target.name);
            for text in [&target.name, &target.address]
                .into_iter()
                .chain(target.labels.values())
            {
                lose(&place, text);
            }
        }
        let mut found = false;
        for (name, body) in &mut self.modules {
            let place = format!("module {name:?}");
            found |= in_braces(body, "", false, &mut |text| lose(&place, text));
        }
        if found {
            hints.push(
                "the modules refer to environment variables: start the exporter with --config.expand-environment-variables"
                    .to_owned(),
            );
        }
    }

    fn finish(mut self, whole_set: bool) -> Result<Migration, MigrateError> {
        if self.modules.is_empty() {
            return Err(MigrateError::NoTargets(
                "it contains nothing that this exporter can probe",
            ));
        }
        if whole_set {
            let mut text = "modules:\n".to_owned();
            for (name, body) in &self.modules {
                // JSON is YAML.
                text.push_str(&format!("  {}: {body}\n", super::write::quoted(name)));
            }
            self.migration.modules = Some(text);
        } else {
            self.lost("the modules are not part of a targets file; --output writes them".to_owned());
        }
        Ok(self.migration)
    }
}

fn body(prober: &str, timeout: Option<u64>, settings: Value) -> Value {
    let mut body = Map::new();
    body.insert("prober".to_owned(), prober.into());
    if let Some(timeout) = timeout {
        body.insert("timeout".to_owned(), format_milliseconds(timeout).into());
    }
    let settings = without_empty(settings);
    if !is_empty(&settings) {
        body.insert(prober.to_owned(), settings);
    }
    body.into()
}

/// Fields without those that are empty, and `null` if it is no mapping.
fn without_empty(settings: Value) -> Value {
    let Value::Object(settings) = settings else {
        return Value::Null;
    };
    let filled = settings.into_iter().filter(|(_, value)| !is_empty(value));
    filled.collect::<Map<_, _>>().into()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A text, or a number as text; empty when it is neither.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Most packets of one probe, as the configuration allows them.
const MOST_PACKETS: u64 = 1000;

/// `count`, where there are several packets; the rest is lost.
fn packets(settings: &mut Settings, key: &str, draft: &mut Draft) -> Option<u64> {
    let count = settings.whole(key).filter(|count| *count > 1)?;
    if count > MOST_PACKETS {
        draft.lost(format!(
            "{}: `{key}` {count}: it sends {MOST_PACKETS}",
            settings.place()
        ));
    }
    Some(count.min(MOST_PACKETS))
}

/// Any status, in `valid_status_codes`.
const ANY_STATUS: &str = "100-599";

/// The first reference to an environment variable, `$NAME` or `${NAME}`, if there is one.
fn reference(text: &str) -> Option<&str> {
    let (start, end) = find_reference(text, 0)?;
    text.get(start..end)
}

/// From where to where the first reference behind a place goes. `$$` is none.
fn find_reference(text: &str, mut from: usize) -> Option<(usize, usize)> {
    loop {
        let start = from + text.get(from..)?.find('$')?;
        let rest = text.get(start + 1..)?;
        let (brace, name) = match rest.strip_prefix('{') {
            Some(name) => (1, name),
            None => (0, rest),
        };
        let length = name
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(name.len());
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_closed = brace == 0 || name.get(length..).is_some_and(|rest| rest.starts_with('}'));
        if is_name && is_closed {
            return Some((start, start + 1 + length + 2 * brace));
        }
        from = start + if rest.starts_with('$') { 2 } else { 1 };
    }
}

/// Puts the names of variables in braces in the fields in which the exporter reads them; whether there was one. The
/// other texts with one are given to `lose`.
fn in_braces(value: &mut Value, key: &str, mut inside: bool, lose: &mut dyn FnMut(&str)) -> bool {
    const READ: [&str; 9] = [
        "headers",
        "basic_auth",
        "username",
        "password",
        "body",
        "proxy_url",
        "token_url",
        "client_id",
        "client_secret",
    ];
    inside |= READ.contains(&key);
    match value {
        Value::Object(fields) => fields.iter_mut().fold(false, |found, (key, value)| {
            in_braces(value, key, inside, lose) | found
        }),
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |found, value| in_braces(value, key, inside, lose) | found),
        Value::String(text) if !inside => {
            lose(text);
            false
        }
        Value::String(text) => {
            let (mut from, mut braced) = (0, String::new());
            while let Some((start, end)) = find_reference(text, from) {
                let reference = text.get(start + 1..end).unwrap_or_default();
                braced.push_str(text.get(from..start).unwrap_or_default());
                match reference.starts_with('{') {
                    true => braced.push_str(&format!("${reference}")),
                    false => braced.push_str(&format!("${{{reference}}}")),
                }
                from = end;
            }
            braced.push_str(text.get(from..).unwrap_or_default());
            *text = braced;
            from > 0
        }
        _ => false,
    }
}

/// Headers without those that are of the connection.
fn headers(value: Option<&Value>) -> Value {
    let fields = value.and_then(Value::as_object).into_iter().flatten();
    fields
        .map(|(name, value)| (name.clone(), text(value).into()))
        .collect::<Map<_, _>>()
        .into()
}

/// Status codes of ranges like `200-299`, `2xx`, `404`; `None` for all of 2xx, which is the default.
fn statuses(ranges: impl IntoIterator<Item = String>) -> Value {
    let mut codes: Vec<u64> = Vec::new();
    for range in ranges {
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (from.trim().to_owned(), to.trim().to_owned()),
            None => (
                range.to_lowercase().replace('x', "0"),
                range.to_lowercase().replace('x', "9"),
            ),
        };
        if let (Ok(from), Ok(to)) = (from.parse::<u64>(), to.parse::<u64>()) {
            codes.extend(from.max(100)..=to.min(599));
        }
    }
    codes.sort_unstable();
    codes.dedup();
    if codes.is_empty() || codes.iter().copied().eq(200..=299) {
        return Value::Null;
    }
    let runs = codes.chunk_by(|one, next| one + 1 == *next);
    runs.flat_map(|run| match run {
        [first, _, .., last] => vec![json!(format!("{first}-{last}"))],
        few => few.iter().map(|code| json!(code)).collect(),
    })
    .collect()
}

/// Labels that a series can have.
fn labels(target: &mut Target, values: Option<&Value>) {
    for (name, value) in values.and_then(Value::as_object).into_iter().flatten() {
        if label_fault(name).is_none() {
            target.labels.insert(name.clone(), text(value));
        }
    }
}

/// YAML as data; plain scalars mean numbers, truth values and null where they look like it.
fn yaml(text: &str) -> Result<Value, MigrateError> {
    let document = Document::parse(text)
        .map_err(|error| {
            MigrateError::Syntax(format!("line {}: not YAML: {}", error.at.line, error.message))
        })?
        .ok_or(MigrateError::NoTargets("the file is empty"))?;
    let mut left = 200_000;
    node(&document, document.root(), 0, &mut left)
        .ok_or_else(|| MigrateError::Syntax("nested too deeply or too long".to_owned()))
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn node(document: &Document<'_>, id: Id, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    if depth > 64 {
        return None;
    }
    let inner = |id: Id, left: &mut usize| node(document, id, depth + 1, left);
    Some(match &document.node(document.target(id)).content {
        Content::Scalar { text, plain: false } => Value::String(text.to_string()),
        Content::Scalar { text, .. } => match text.as_ref() {
            "" | "~" | "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            number => match number.parse::<i64>() {
                Ok(whole) if whole.to_string() == number => whole.into(),
                _ => number.into(),
            },
        },
        Content::Sequence(list) => {
            let list: Option<Vec<_>> = list.iter().map(|item| inner(*item, left)).collect();
            list?.into()
        }
        Content::Mapping(entries) => {
            let mut fields = Map::new();
            for (key, value) in entries {
                let value = inner(*value, left)?;
                let parts = match (document.is_merge(*key), value) {
                    (true, Value::Array(parts)) => parts,
                    (true, value) => vec![value],
                    (false, value) => {
                        fields.insert(document.text(*key)?.to_owned(), value);
                        continue;
                    }
                };
                // The mapping's own entries win.
                for (key, value) in parts.into_iter().filter_map(into_object).flatten() {
                    fields.entry(key).or_insert(value);
                }
            }
            fields.into()
        }
        Content::Alias(_) => Value::Null,
    })
}

#[cfg(test)]
mod tests;
