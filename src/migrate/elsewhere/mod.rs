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

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use self::settings::Settings;
use super::alloy::milliseconds;
use super::{MigrateError, Migration, Names};
use crate::check::Regexp;
use crate::config::LoadError;
use crate::config::files::targets::{Target, Targets, format_milliseconds, is_targets_file, label_fault};
use crate::config::yaml::{Content, Document, Id};
use crate::module;

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
        // Probers that this exporter does not have.
        const PROBERS: [&str; 5] = ["https", "file", "http_file", "kubernetes", "kubeconfig"];
        let line = |start: &str| has_line(text, start);
        let prober = |name: &&str| text.contains(&format!("prober: {name}"));
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
            (line("modules:") && PROBERS.iter().any(prober)).then_some(Self::SslExporter)
        }
    }

    /// A regular expression of what it replaces in texts, apart from `$NAME` and `${NAME}`.
    fn placeholders(self) -> Option<&'static str> {
        match self {
            Self::Cloudprober => Some(r"\{\{.*?\}\}|\*\*\$.+?\*\*|@(?:target\.[^@]+|uuid)@"),
            Self::Gatus => Some(r"\[(?:LOCAL_ADDRESS|RANDOM_STRING_\d+)\]|\$\{[A-Za-z_]\w*[^\w}][^}]*\}"),
            Self::Telegraf => Some(r"@\{[^}]+\}|\$\{[A-Za-z_]\w*[^\w}][^}]*\}"),
            _ => None,
        }
    }

    /// Whether it replaces references to environment variables, `$NAME` and `${NAME}`, and `$$` by `$`.
    fn expands(self) -> bool {
        matches!(self, Self::Gatus | Self::Telegraf)
    }
}

/// What a text is, when it is a file of this exporter.
pub fn own_file(text: &str) -> Option<&'static str> {
    if is_targets_file(text) && Targets::parse(text).is_ok_and(|read| !read.targets.is_empty()) {
        return Some("this is a targets file of this exporter already");
    }
    let is_own = has_line(text, "modules:") && Program::of(text).is_none();
    is_own.then_some(
        "this is a configuration of this exporter or upstream already: start it with --config.file",
    )
}

fn has_line(text: &str, start: &str) -> bool {
    text.lines().any(|line| line.starts_with(start))
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
    draft.fill_in(program);
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
        let timeout = self.possible(name, timeout);
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
        let interval = self.possible(name, interval);
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

    /// A time that can be written; names others.
    fn possible(&mut self, name: &str, milliseconds: Option<u64>) -> Option<u64> {
        const MOST: u64 = 100 * 365 * 86_400_000;
        let milliseconds = milliseconds?;
        if (1..=MOST).contains(&milliseconds) {
            return Some(milliseconds);
        }
        self.lost(format!("{name:?}: a time of {milliseconds} ms"));
        None
    }

    /// The labels that a series can have; names the others.
    fn labels(
        &mut self,
        place: &str,
        values: impl IntoIterator<Item = (String, String)>,
    ) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (name, value) in values {
            match label_fault(&name) {
                Some(fault) => self.lost(format!("{place}: the label {name:?}: {fault}")),
                None => drop(labels.insert(name, value)),
            }
        }
        labels
    }

    /// The headers of a mapping; names those that are no texts.
    fn headers(&mut self, place: &str, value: Option<Value>) -> Map<String, Value> {
        let mut headers = Map::new();
        match value {
            Some(Value::Object(fields)) => {
                for (name, value) in fields {
                    match value {
                        Value::Array(_) | Value::Object(_) => {
                            self.lost(format!("{place}: the header {name:?}: its value is no text"));
                        }
                        value => drop(headers.insert(name, text(&value).into())),
                    }
                }
            }
            Some(_) => self.lost(format!("{place}: `headers`")),
            None => {}
        }
        headers
    }

    /// Looks for what the program replaces in texts: writes references to environment variables as this exporter reads them, names
    /// the others, and leaves out what would be probed with a placeholder.
    fn fill_in(&mut self, program: Program) {
        let placeholders = program
            .placeholders()
            .and_then(|pattern| Regexp::new(pattern).ok());
        let Migration {
            targets, lost, hints, ..
        } = &mut self.migration;
        let mut refers = false;
        let mut is_whole = |place: &str, text: &mut String, is_expanded: bool| {
            let found = placeholders
                .as_ref()
                .and_then(|pattern| pattern.captures(text.as_bytes()));
            if let Some(part) = found.as_ref().and_then(|found| found.group(0)) {
                let part = String::from_utf8_lossy(part);
                lost.push(format!("{place}: `{part}` in {text:?}: write its value"));
                return false;
            }
            if !program.expands() {
                return true;
            }
            if is_expanded {
                refers |= in_braces(text);
            } else if let Some(reference) = reference(text) {
                lost.push(format!(
                    "{place}: the environment variable `{reference}` in {text:?}: write its value"
                ));
            }
            *text = text.replace("$$", "$");
            true
        };
        targets.retain_mut(|target| {
            let place = format!("target {:?}", target.name);
            if !is_whole(&place, &mut target.address, false) {
                return false;
            }
            _ = is_whole(&place, &mut target.name, false);
            target.labels.retain(|_, value| is_whole(&place, value, false));
            true
        });
        self.modules.retain_mut(|(name, body)| {
            let place = format!("module {name:?}");
            let mut stays = true;
            texts(body, "", false, &mut |text, is_expanded| {
                stays &= is_whole(&place, text, is_expanded);
            });
            stays
        });
        if refers {
            hints.push(
                "the modules refer to environment variables: start the exporter with --config.expand-environment-variables"
                    .to_owned(),
            );
        }
    }

    /// Leaves out the modules that the exporter would refuse, because it would refuse the others with them, and targets without a
    /// module.
    fn leave_out_faulty(&mut self) {
        let Self {
            migration, modules, ..
        } = self;
        let problems = |modules: &[(String, Value)]| match module::parse(modules_file(modules), "") {
            Err(LoadError::Invalid(invalid)) => invalid.problems,
            _ => Vec::new(),
        };
        if !problems(modules).is_empty() {
            modules.retain(|module| {
                let problems = problems(std::slice::from_ref(module));
                let told = problems
                    .iter()
                    .map(|problem| format!("module {:?}: {}: {}", module.0, problem.path, problem.message));
                migration.lost.extend(told);
                problems.is_empty()
            });
        }
        let names: HashSet<_> = modules.iter().map(|(name, _)| name).collect();
        migration.targets.retain(|target| {
            let is_there = names.contains(&target.module);
            if !is_there {
                let lost = format!("target {:?}: its module is left out", target.name);
                migration.lost.push(lost);
            }
            is_there
        });
    }

    /// Lets probes take the time that their modules allow: a scrape ends after ten seconds if nothing else is asked for.
    fn give_time(&mut self) {
        const SCRAPE: u64 = 10_000;
        // `--timeout-offset`
        const OFFSET: u64 = 500;
        let timeouts: HashMap<_, _> = self
            .modules
            .iter()
            .filter_map(|(name, body)| Some((name, milliseconds(body.get("timeout")?.as_str()?)?)))
            .collect();
        for target in &mut self.migration.targets {
            let timeout = timeouts.get(&target.module).filter(|timeout| **timeout > SCRAPE);
            if let (Some(timeout), Some(interval)) = (timeout, target.interval) {
                target.timeout = Some(timeout.saturating_add(OFFSET).min(interval));
            }
        }
    }

    fn finish(mut self, whole_set: bool) -> Result<Migration, MigrateError> {
        if self.modules.is_empty() && self.migration.lost.is_empty() {
            return Err(MigrateError::NoTargets(
                "it contains nothing that this exporter can probe",
            ));
        }
        self.leave_out_faulty();
        self.give_time();
        if whole_set {
            self.migration.modules = Some(modules_file(&self.modules));
        } else {
            self.lost("the modules are not part of a targets file; --output writes them".to_owned());
        }
        Ok(self.migration)
    }
}

fn modules_file(modules: &[(String, Value)]) -> String {
    let mut text = "modules:\n".to_owned();
    for (name, body) in modules {
        // JSON is YAML.
        text.push_str(&format!("  {}: {body}\n", super::write::quoted(name)));
    }
    text
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

/// A text, or a number or a truth value as text; empty when it is none of them.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
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

/// Puts the names of variables in braces; whether there was one.
fn in_braces(text: &mut String) -> bool {
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

/// Shows each text of a module, and whether it is in a field in which the exporter expands references.
fn texts(value: &mut Value, key: &str, mut is_expanded: bool, see: &mut dyn FnMut(&mut String, bool)) {
    const EXPANDED: [&str; 9] = [
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
    is_expanded |= EXPANDED.contains(&key);
    match value {
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(key, value)| texts(value, key, is_expanded, see)),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|value| texts(value, key, is_expanded, see)),
        Value::String(text) => see(text, is_expanded),
        _ => {}
    }
}

/// Sets the content type that the program sends with a body, unless the headers have one.
fn set_content_type(headers: &mut Map<String, Value>, kind: &str) {
    if !headers
        .keys()
        .any(|name| name.eq_ignore_ascii_case("content-type"))
    {
        headers.insert("Content-Type".to_owned(), kind.into());
    }
}

/// The codes of ranges like `200-299`, `2xx`, `404`.
fn codes(ranges: impl IntoIterator<Item = String>) -> Vec<u64> {
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
    codes
}

/// `valid_status_codes`: null for all of 2xx, which is the default; `None` when no code is accepted, which no module expresses.
fn statuses(codes: &[u64]) -> Option<Value> {
    if codes.is_empty() || codes.iter().copied().eq(200..=299) {
        return (!codes.is_empty()).then_some(Value::Null);
    }
    let runs = codes.chunk_by(|one, next| one + 1 == *next);
    let runs = runs.flat_map(|run| match run {
        [first, _, .., last] => vec![json!(format!("{first}-{last}"))],
        few => few.iter().map(|code| json!(code)).collect(),
    });
    Some(runs.collect())
}

/// A field of the body in CEL: `body["a"]["b"]` for `a.b`.
fn field(path: &str) -> Option<String> {
    let mut field = "body".to_owned();
    for key in path.split('.') {
        if key.is_empty() || key.contains(['[', ']']) {
            return None;
        }
        field.push_str(&format!("[{}]", Value::from(key)));
    }
    Some(field)
}

/// The labels in a mapping.
fn pairs(values: Option<Value>) -> Vec<(String, String)> {
    let Some(Value::Object(fields)) = values else {
        return Vec::new();
    };
    fields
        .into_iter()
        .map(|(name, value)| (name, text(&value)))
        .collect()
}

/// A host and a port.
fn address(host: &str, port: &str) -> String {
    match (port, host.contains(':')) {
        ("", _) => host.to_owned(),
        (port, true) => format!("[{host}]:{port}"),
        (port, false) => format!("{host}:{port}"),
    }
}

/// The name that has the PTR records of an address.
fn reverse_name(address: &str) -> Option<String> {
    Some(match address.parse().ok()? {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip
                .octets()
                .into_iter()
                .rev()
                .flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles
                .map(|nibble| format!("{nibble:x}."))
                .chain(["ip6.arpa.".to_owned()])
                .collect()
        }
    })
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
