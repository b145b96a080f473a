//! The targets file: what to probe, for `GET /targets`.
//!
//! It is read as strictly as the configuration, and with the same reader: everything that is wrong is reported at
//! once, with its place.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use go_yaml::{Document, Id, Position};
use gostd::query::{Plus, unescape};

use super::text::not_yaml;
use crate::config::codec::decode::Decoder;
use crate::config::codec::meant::did_you_mean;
use crate::config::codec::problem::Problem;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::section::{Section, section};
use crate::config::codec::tree::Tree;
use crate::config::codec::value::{Codec, Duration, Value as _, Variant};
use crate::config::module::hints::elsewhere;

pub use crate::config::codec::problem::TargetsError;

/// Most modules that are listed to who names none of them.
const MODULES: usize = 10;

/// An interval at which many jobs scrape, in milliseconds.
const USUAL_INTERVAL: u64 = 10_000;

/// The module of a target that names none.
pub const DEFAULT_MODULE: &str = "http_2xx";

section! {
    /// A targets file.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Targets {
        /// The targets in the order of the file.
        always targets: Vec<Target>,
    }
}

section! {
    /// One target, named as Alloy's `target` blocks name things.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Target {
        /// Name of this entry, and its `job` unless a label says otherwise.
        always name: String,
        /// What to probe: URL, host or `host:port`, as the module wants it.
        always address: String,
        /// The module; empty means [`DEFAULT_MODULE`].
        omit module: String,
        /// `hostname` parameter: Host header and TLS server name.
        omit hostname: String,
        /// Parameters of the scrape, which the module must allow.
        omit params: BTreeMap<String, String> as ParamNames,
        /// Labels of every series of this target; an empty value takes a label away.
        omit labels: BTreeMap<String, String> as LabelNames,
        /// Scrape interval in milliseconds, when it is not the scraper's.
        omit interval: Option<u64> as Period,
        /// Scrape timeout in milliseconds, when it is not the scraper's.
        omit timeout: Option<u64> as Period,
        /// Where it stands in the file.
        skip at: Position,
    }
}

impl Target {
    /// The module's name.
    pub fn module(&self) -> &str {
        match self.module.as_str() {
            "" => DEFAULT_MODULE,
            module => module,
        }
    }
}

/// What `/probe` probes when it is asked for this target: it decodes it once more than the query, where that can be.
// compat: upstream turns a `+` of the target into a space when it decodes it for the second time.
pub fn decoded(target: &str) -> Cow<'_, str> {
    unescape(target, Plus::IsLiteral).unwrap_or(Cow::Borrowed(target))
}

/// What to ask `/probe` for, so that it probes this target as it is written.
pub fn encoded(target: &str) -> Cow<'_, str> {
    match *decoded(target) == *target {
        true => Cow::Borrowed(target),
        false => Cow::Owned(target.replace('%', "%25")),
    }
}

/// Whether a text is a targets file and no configuration.
pub fn is_targets_file(text: &str) -> bool {
    Document::parse(text).is_ok_and(|document| {
        document.is_some_and(|document| {
            let has = |key| document.entry(document.root(), key).is_some();
            has("targets") && !has("modules")
        })
    })
}

impl Targets {
    /// The JSON Schema of the targets file.
    pub fn json_schema() -> serde_json::Value {
        schema::file("Targets file of blackbox_exporter", Self::schema)
    }

    /// Reads the text of a targets file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let document = match Document::parse(text) {
            Ok(Some(document)) => document,
            Ok(None) => {
                let problem = Problem::new(None, "the file is empty");
                return Err(vec![problem.with_help("the smallest is \"targets: []\"")]);
            }
            Err(error) => return Err(vec![not_yaml(&error)]),
        };
        let mut targets = Self::default();
        let mut decoder = Decoder::new(&document).hinting(elsewhere);
        targets.decode(document.root(), &mut decoder);
        let (mut problems, _) = decoder.finish();
        problems.extend(targets.same_names());
        problems.sort_by_key(|problem| problem.at);
        if problems.is_empty() {
            Ok(targets)
        } else {
            Err(problems)
        }
    }

    fn same_names(&self) -> Vec<Problem> {
        let mut seen = HashMap::new();
        let again = self.targets.iter().filter_map(|target| {
            let first = seen
                .insert(target.name.as_str(), target.at)
                .filter(|_| !target.name.is_empty())?;
            let message = format!(
                "duplicate target name {:?} (first used on line {})",
                target.name, first.line
            );
            Some(Problem::new(Some(target.at), message).with_help("give each target a name of its own"))
        });
        again.collect()
    }

    /// What loads but is probably not meant.
    pub fn warnings(&self) -> Vec<Problem> {
        let sets_instance = |target: &&Target| {
            target
                .labels
                .get("instance")
                .is_some_and(|value| !value.is_empty())
        };
        let instance = self.warning(
            sets_instance,
            "the targets file sets the label \"instance\"",
            "in an Alloy cluster /targets must be the same on every host, or targets are scraped twice or never: set \"instance\" in a prometheus.relabel after the scrape",
        );
        let timeout = self.warning(
            |target| target.interval.is_none() && target.timeout > Some(USUAL_INTERVAL),
            "the targets file sets a timeout above 10s and no interval",
            "Prometheus does not scrape a target whose timeout is longer than its interval, which is the job's scrape_interval then: set interval, too",
        );
        [instance, timeout].into_iter().flatten().collect()
    }

    /// One warning for all targets that it is about, with the place of the first.
    fn warning(&self, concerns: impl Fn(&&Target) -> bool, what: &str, help: &str) -> Option<Problem> {
        let mut found = self.targets.iter().filter(concerns);
        let first = found.next()?;
        let message = format!("{what} ({} of {} targets)", found.count() + 1, self.targets.len());
        Some(Problem::new(Some(first.at), message).with_help(help))
    }

    /// The modules that targets name and that are not among the names, each where it comes first.
    pub fn unknown_modules<'a>(&self, known: impl Iterator<Item = &'a str> + Clone) -> Vec<Problem> {
        let is_known: HashSet<&str> = known.clone().collect();
        let mut unknown: Vec<(&Target, usize)> = Vec::new();
        let mut places = HashMap::new();
        for target in self
            .targets
            .iter()
            .filter(|target| !is_known.contains(target.module()))
        {
            let place = *places.entry(target.module()).or_insert(unknown.len());
            match unknown.get_mut(place) {
                Some((_, more)) => *more += 1,
                None => unknown.push((target, 0)),
            }
        }
        let problem = |(target, more): (&Target, usize)| {
            let others = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let (name, module) = (&target.name, target.module());
            let message = format!("target {name:?}{others}: the configuration has no module {module:?}");
            let help = match did_you_mean(module, known.clone()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => {
                    let some: Vec<_> = known.clone().take(MODULES).collect();
                    let rest = if is_known.len() > MODULES { ", …" } else { "" };
                    format!("its modules: {}{rest}", some.join(", "))
                }
            };
            Problem::new(Some(target.at), message).with_help(help)
        };
        unknown.into_iter().map(problem).collect()
    }
}

impl Section for Targets {}

impl Section for Target {
    const REQUIRED: &'static [&'static str] = &["name", "address"];

    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        self.at = d.document().node(node).at;
        for (field, value) in [("name", &self.name), ("address", &self.address)] {
            if value.is_empty() && !d.is_blamed(field) {
                d.report_field(node, field, format!("a target needs {field:?}"), None);
            }
        }
        for label in self.labels.keys() {
            if let Some(help) = label_fault(label) {
                d.report_field(node, "labels", format!("{label:?} cannot be a label"), help);
            }
        }
        for param in self.params.keys() {
            let fits = param.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !fits || param.is_empty() {
                let help = "a scraper reads it as the label __param_NAME: letters, digits and underscores"
                    .to_owned();
                d.report_field(
                    node,
                    "params",
                    format!("{param:?} cannot be a parameter of a target"),
                    help,
                );
            }
        }
        // Prometheus drops a target whose timeout is longer than its interval.
        if let (Some(interval), Some(timeout)) = (self.interval, self.timeout)
            && timeout > interval
        {
            let help = "Prometheus does not scrape such a target";
            d.report_field(node, "timeout", "the timeout is longer than the interval", help);
        }
    }
}

/// Why a name cannot be a label of a series.
pub(crate) fn label_fault(label: &str) -> Option<&'static str> {
    let mut characters = label.chars();
    let first = characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !first || !characters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Some("letters, digits and underscores, no digit first");
    }
    label
        .starts_with("__")
        .then_some("names with two underscores in front are Prometheus' own")
}

/// Texts by the name of a parameter.
struct ParamNames;

impl Variant<BTreeMap<String, String>> for ParamNames {
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::named("^[0-9A-Za-z_]+$")
    }
}

/// Texts by the name of a label.
struct LabelNames;

impl Variant<BTreeMap<String, String>> for LabelNames {
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::named("^([A-Za-z]|_([0-9A-Za-z]|$))[0-9A-Za-z_]*$")
    }
}

/// A positive duration of whole milliseconds, as Prometheus counts them.
struct Period;

impl Codec<Option<u64>> for Period {
    fn decode(place: &mut Option<u64>, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        let mut nanoseconds = 0;
        if !<Duration as Codec<_>>::decode(&mut nanoseconds, node, d) {
            return false;
        }
        match u64::try_from(nanoseconds / 1_000_000) {
            Ok(milliseconds @ 1..) => *place = Some(milliseconds),
            _ => d.report(node, "write a duration of at least one millisecond", None),
        }
        true
    }

    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::duration()
    }
    fn is_zero(place: &Option<u64>) -> bool {
        place.is_none()
    }
    fn tree(place: &Option<u64>) -> Tree {
        place.map_or(Tree::Null, |milliseconds| {
            Tree::text(format_milliseconds(milliseconds))
        })
    }
}

/// `30s`, `1500ms`: what both Go and Prometheus read.
pub fn format_milliseconds(milliseconds: u64) -> String {
    match milliseconds {
        whole if whole % 1000 == 0 => format!("{}s", whole / 1000),
        broken => format!("{broken}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        Targets::parse(text)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn reads_targets() {
        let read = Targets::parse(
            "targets:
  - name: web
    address: https://example.com
    module: http_post_2xx
    hostname: www.example.com
    labels: {target: example.com, env: !!str 1}
    interval: 1m30s
    timeout: 1500ms
  - {name: plain, address: a}
",
        )
        .unwrap();
        let web = Target {
            name: "web".to_owned(),
            address: "https://example.com".to_owned(),
            module: "http_post_2xx".to_owned(),
            hostname: "www.example.com".to_owned(),
            params: BTreeMap::new(),
            labels: [
                ("env".to_owned(), "1".to_owned()),
                ("target".to_owned(), "example.com".to_owned()),
            ]
            .into(),
            interval: Some(90_000),
            timeout: Some(1500),
            at: Position { line: 2, column: 5 },
        };
        assert_eq!(read.targets[0], web);
        assert_eq!(read.targets[1].module(), "http_2xx");
        assert_eq!(Targets::parse("targets: []\n"), Ok(Targets::default()));
    }

    #[test]
    fn reports_everything_at_once() {
        assert_eq!(
            problems(
                "targets:
  - name: a
    adress: x
  - {name: b, address: x, labels: {__meta: x, a-b: x}, interval: 5s, timeout: 10s}
  - {name: b, address: y, interval: 0s}
  - {address: y, timeout: soon}
"
            ),
            [
                "line 3, column 5: targets[0].adress: field \"adress\" not found; did you mean \"address\"?",
                "line 4, column 27: targets[1].labels: \"__meta\" cannot be a label; names with two underscores in front are Prometheus' own",
                "line 4, column 27: targets[1].labels: \"a-b\" cannot be a label; letters, digits and underscores, no digit first",
                "line 4, column 70: targets[1].timeout: the timeout is longer than the interval; Prometheus does not scrape such a target",
                "line 5, column 5: duplicate target name \"b\" (first used on line 4); give each target a name of its own",
                "line 5, column 37: targets[2].interval: write a duration of at least one millisecond",
                "line 6, column 5: targets[3]: a target needs \"name\"",
                "line 6, column 27: targets[3].timeout: \"soon\" is not a duration; units are ns, us, ms, s, m and h: 500ms, 5s, 1m30s, 1.5h",
            ]
        );
        assert_eq!(
            problems(""),
            ["the file is empty; the smallest is \"targets: []\""]
        );
        assert!(problems("a: [")[0].contains("not YAML"));
        assert_eq!(
            problems("target: []")[0],
            "line 1, column 1: target: field \"target\" not found; did you mean \"targets\"?"
        );
    }

    #[test]
    fn an_instance_of_ones_own_is_a_warning() {
        let warning = |text: &str| {
            Targets::parse(text)
                .unwrap()
                .warnings()
                .first()
                .map(ToString::to_string)
        };
        assert_eq!(
            warning("targets: [{name: a, address: b, labels: {instance: ''}}]"),
            None
        );
        let text = "targets:\n- {name: a, address: b}\n- {name: c, address: d, labels: {instance: x}}\n- {name: e, address: f, labels: {instance: y}}\n";
        let said = warning(text).unwrap();
        let wanted = "line 3, column 3: the targets file sets the label \"instance\" (2 of 3 targets); in an Alloy cluster ";
        assert!(said.starts_with(wanted), "{said}");
        for (fields, is_told) in [
            ("timeout: 10s", false),
            ("timeout: 20s", true),
            ("timeout: 20s, interval: 20s", false),
        ] {
            let said = warning(&format!("targets: [{{name: a, address: b, {fields}}}]"));
            let tells = said
                .is_some_and(|said| said.contains("a timeout above 10s and no interval (1 of 1 targets)"));
            assert_eq!(tells, is_told, "{fields}");
        }
    }

    #[test]
    fn knows_which_modules_are_missing() {
        let targets =
            "targets: [{name: a, address: x, module: icpm}, {name: b, address: x}, {name: c, address: x}]";
        let targets = Targets::parse(targets).unwrap();
        let many: Vec<String> = (0..20).map(|number| format!("module_{number}")).collect();
        let mut known: Vec<&str> = many.iter().map(String::as_str).chain(["icmp"]).collect();
        let unknown = targets.unknown_modules(known.iter().copied());
        let unknown: Vec<_> = unknown.iter().map(ToString::to_string).collect();
        let listed = many.get(..MODULES).unwrap().join(", ");
        assert_eq!(
            unknown,
            [
                "line 1, column 11: target \"a\": the configuration has no module \"icpm\"; did you mean \"icmp\"?".to_owned(),
                format!("line 1, column 48: target \"b\" and 1 more: the configuration has no module \"http_2xx\"; its modules: {listed}, …"),
            ]
        );
        known.extend(["http_2xx", "icpm"]);
        assert_eq!(targets.unknown_modules(known.into_iter()), []);
    }
}
