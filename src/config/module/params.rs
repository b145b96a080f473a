//! `params:` of a module (ours): which of its settings a scrape may set, and to what.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::iter;
use std::mem;
use std::net::IpAddr;

use go_yaml::{Document, Id};
use serde_json::Value as Json;

use super::hints::{elsewhere, field};
use super::{Module, Prober};
use crate::config::client::http_client::canonical_header;
use crate::config::client::url::without_user;
use crate::config::codec::confidential::{MASK, names_credential};
use crate::config::codec::decode::Decoder;
use crate::config::codec::environment::Expanded;
use crate::config::codec::problem::Problem;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::section::{Fields as _, Section, section};
use crate::config::codec::tree::{Step, Tree};
use crate::config::codec::value::{Regexp, Value};

section! {
    /// What one parameter may be.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Param {
        /// A regular expression (RE2 syntax) that the whole value must match.
        omit matches: String as Regexp,
        /// The values that it may have; any when empty.
        omit one_of: Vec<Choice>,
        /// Whether a scrape must give it.
        omit required: bool,
        /// Whether the value is kept out of pages and logs.
        omit secret: Option<bool>,
    }
}

/// One of the values that a parameter may have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// The value.
    pub value: String,
    /// Whether it must not be shown.
    secret: bool,
}

impl Value for Choice {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        self.value.decode(node, d)
    }

    fn schema(sections: &mut Sections) -> Json {
        String::schema(sections)
    }
    fn is_zero(&self) -> bool {
        self.value.is_empty()
    }
    fn tree(&self) -> Tree {
        Tree::text(if self.secret { MASK } else { &self.value })
    }
}

impl Section for Param {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        if let Some(problem) = d.key_of_this().and_then(refused_name) {
            d.report(node, problem, None);
        }
        if self.is_secret()
            && let Some(name @ (ADDRESS | SERVER)) = d.key_of_this()
        {
            let message = format!("{name} cannot be secret: logs and pages show which address is probed");
            d.report_field(node, "secret", message, None);
        }
        if self.is_secret() {
            self.hide();
        }
    }
}

impl Param {
    /// Whether the value is kept out of pages and logs.
    pub fn is_secret(&self) -> bool {
        self.secret == Some(true)
    }

    /// Keeps its values out of pages and logs.
    fn hide(&mut self) {
        self.secret = Some(true);
        for choice in &mut self.one_of {
            choice.secret = true;
        }
    }
}

/// Parameters of a scrape that mean something already.
const TAKEN: [&str; 4] = ["module", "target", "hostname", "debug"];

fn refused_name(name: &str) -> Option<String> {
    TAKEN
        .contains(&name)
        .then(|| format!("the parameter {name} has a meaning of its own"))
}

/// The parameter that is no setting of the prober: the address to dial.
const ADDRESS: &str = "ip_address";

/// The setting that says which name server is asked.
const SERVER: &str = "server";

/// A setting that a parameter names.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    place: Place,
    kind: Kind,
    is_expression: bool,
    is_secret: bool,
}

/// Where a setting is.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// `header.NAME` of http.
    Header(String),
    /// `metadata.NAME` of grpc.
    Metadata(String),
    /// The address that is dialled.
    Address,
    /// A field of the prober's section, or of a section in it: the names that lead to it.
    Field(Vec<String>),
}

/// How a setting takes a value.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Text,
    /// One of some words.
    Word(Vec<String>),
    Truth,
    Number,
    Duration,
    /// A list, of which a parameter is the one entry.
    List,
}

impl Setting {
    /// What it takes, for people.
    pub fn kind(&self) -> &'static str {
        match (&self.place, &self.kind) {
            (Place::Address, _) => "IP address",
            (_, Kind::Text) => "text",
            (_, Kind::Word(_) | Kind::Truth) => "choice",
            (_, Kind::Number) => "number",
            (_, Kind::Duration) => "duration",
            (_, Kind::List) => "list of one",
        }
    }

    /// The words that it takes, when there are no others.
    pub fn words(&self) -> Vec<String> {
        match &self.kind {
            Kind::Word(words) => words.clone(),
            Kind::Truth => ["true", "false"].map(str::to_owned).into(),
            Kind::Text | Kind::Number | Kind::Duration | Kind::List => Vec::new(),
        }
    }

    /// The name of the header, or the key of the metadata, that it sets.
    pub fn header(&self) -> Option<&str> {
        match &self.place {
            Place::Header(name) | Place::Metadata(name) => Some(name),
            Place::Field(_) | Place::Address => None,
        }
    }

    /// Whether its value is a regular expression or a CEL expression.
    pub fn is_expression(&self) -> bool {
        self.is_expression
    }

    /// Whether logs and pages have the value nowhere but where they name the parameter: a secret of the configuration, or a header.
    pub fn is_sent_only(&self) -> bool {
        self.is_secret || self.header().is_some()
    }

    /// Whether its value is a URL, which may have a password.
    fn is_url(&self) -> bool {
        matches!(&self.place, Place::Field(names) if names.last().is_some_and(|name| name.ends_with("_url")))
    }

    /// A value as pages and logs show it: a URL without its user.
    pub fn shown<'v>(&self, value: &'v str) -> Cow<'v, str> {
        match self.is_url() {
            true => without_user(value),
            false => value.into(),
        }
    }

    /// Whether its value is a name that peers get to see: a virtual host, a server's name, a name that is looked up.
    pub fn is_name(&self) -> bool {
        match &self.place {
            Place::Header(name) => canonical_header(name) == "Host",
            Place::Field(names) => names
                .last()
                .is_some_and(|name| matches!(name.as_str(), "server_name" | "query_name")),
            Place::Metadata(_) | Place::Address => false,
        }
    }

    /// The value as it stands in YAML.
    fn written(&self, value: &str) -> Result<String, &'static str> {
        match self.kind {
            Kind::Text | Kind::Word(_) | Kind::Duration => Ok(quoted(value)),
            // A text stays the same without quotes, and a status code must have none.
            Kind::List if value.bytes().all(|b| b.is_ascii_digit()) => Ok(format!("[{value}]")),
            Kind::List => Ok(format!("[{}]", quoted(value))),
            Kind::Truth => match value {
                "true" | "false" => Ok(value.to_owned()),
                _ => Err("expected true or false"),
            },
            Kind::Number => {
                let number: i64 = value.parse().map_err(|_| "expected a whole number")?;
                Ok(number.to_string())
            }
        }
    }
}

/// A text in double quotes, of which YAML reads every character as it is.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            // Writing to a string does not fail.
            _ => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

/// A mapping of YAML under construction.
#[derive(Default)]
struct Mapping<'s>(BTreeMap<&'s str, Entry<'s>>);

enum Entry<'s> {
    Value(String),
    Below(Mapping<'s>),
}

impl<'s> Mapping<'s> {
    /// Sets a value; of two for one place the later counts.
    fn set(&mut self, names: &'s [String], value: String) {
        let Some((first, rest)) = names.split_first() else {
            return;
        };
        if rest.is_empty() {
            self.0.insert(first, Entry::Value(value));
            return;
        }
        let below = self.0.entry(first);
        if let Entry::Below(below) = below.or_insert_with(|| Entry::Below(Self::default())) {
            below.set(rest, value);
        }
    }

    fn text(&self) -> String {
        let entries = self.0.iter().map(|(name, entry)| match entry {
            Entry::Value(value) => format!("{name}: {value}"),
            Entry::Below(below) => format!("{name}: {}", below.text()),
        });
        format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
    }
}

/// Why values cannot be set.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Which of them; the last when it is their combination.
    pub index: usize,
    /// What is wrong.
    pub reason: String,
}

impl Module {
    /// Parameters that set credentials are secret, whether the user says so or not; a header whose name seems to be that of a
    /// credential, unless the user says otherwise.
    pub(super) fn hide_params(&mut self) {
        let mut params = mem::take(&mut self.params);
        for (name, param) in &mut params {
            let is_secret = |setting: Setting| {
                let is_masked = |choice: &Choice| setting.shown(&choice.value) != choice.value;
                setting.is_secret
                    || param.secret.is_none() && setting.header().is_some_and(names_credential)
                    || param.one_of.iter().any(is_masked)
            };
            if self.setting(name).is_some_and(is_secret) {
                param.hide();
            }
        }
        self.params = params;
    }

    /// The setting of this module's prober that a parameter names.
    pub fn setting(&self, name: &str) -> Option<Setting> {
        let text = |place| {
            Some(Setting {
                place,
                kind: Kind::Text,
                is_expression: false,
                is_secret: false,
            })
        };
        if name == ADDRESS {
            return text(Place::Address).filter(|_| self.prober != Prober::Unix);
        }
        let below = |prefix: &str| name.strip_prefix(prefix).filter(|name| !name.is_empty());
        let place = match self.prober {
            Prober::Http => below("header.").map(|name| Place::Header(name.to_owned())),
            Prober::Grpc => below("metadata.").map(|name| Place::Metadata(name.to_owned())),
            _ => None,
        };
        if let Some(place) = place {
            return text(place);
        }
        let names: Vec<String> = match name {
            "server_name" => vec!["tls_config".to_owned(), name.to_owned()],
            _ => name.split('.').map(ToOwned::to_owned).collect(),
        };
        let field = field(self.prober, &names)?;
        Some(Setting {
            kind: kind_of(field)?,
            is_expression: schema::is_expression(field),
            is_secret: schema::is_secret(field),
            place: Place::Field(names),
        })
    }

    /// Sets values, and judges the section as if they had been written.
    ///
    /// # Errors
    /// A value that would not have been loaded.
    pub fn set_params<'s>(
        &mut self,
        values: impl Iterator<Item = (&'s Setting, &'s str)> + Clone,
    ) -> Result<(), Unfit> {
        let mut mapping = Mapping::default();
        for (index, (setting, value)) in values.clone().enumerate() {
            // What was written there counts no more.
            let path = self.path_of(setting);
            self.expanded.retain(|expanded| !expanded.path.starts_with(&path));
            let unfit = |reason: &str| Unfit {
                index,
                reason: reason.to_owned(),
            };
            match &setting.place {
                Place::Header(name) => {
                    let stays = |other: &str| canonical_header(other) != canonical_header(name);
                    let http = &mut *self.http;
                    http.headers.retain(|other, _| stays(other));
                    for headers in http.client.http_headers.iter_mut() {
                        headers.retain(|other, _| stays(other));
                    }
                    http.headers.insert(name.clone(), value.to_owned());
                }
                Place::Metadata(name) => {
                    self.grpc.metadata.insert(name.clone(), vec![value.to_owned()]);
                }
                Place::Address => {
                    let ip: IpAddr = value.parse().map_err(|_| unfit("expected an IP address"))?;
                    self.ip_address = Some(ip);
                }
                Place::Field(names) => mapping.set(names, setting.written(value).map_err(unfit)?),
            }
        }
        let last = values.clone().count().saturating_sub(1);
        let problem = |reason: String| Unfit { index: last, reason };
        let text = mapping.text();
        let document = Document::parse(&text)
            .map_err(|error| problem(error.message.into_owned()))?
            .ok_or_else(|| problem("an empty value".to_owned()))?;
        let written = self.expanded.iter().filter_map(|expanded| {
            let (_, path) = expanded.path.split_first()?;
            Some(Expanded {
                path: path.to_vec(),
                ..expanded.clone()
            })
        });
        let mut decoder = Decoder::new(&document).hinting(elsewhere).amending(written);
        // Further fields of the prober's section, and a judgement of the whole of it.
        self.field(self.prober.name(), document.root(), &mut decoder);
        let (problems, _) = decoder.finish();
        let Some(Problem { path, message, .. }) = problems.into_iter().next() else {
            return self
                .judge_addresses()
                .map_err(|reason| problem(reason.to_owned()));
        };
        let blamed = values.clone().position(|(setting, _)| setting.is_at(&path));
        Err(Unfit {
            index: blamed.unwrap_or(last),
            reason: message,
        })
    }

    /// Where a setting is in the module.
    pub(crate) fn path_of(&self, setting: &Setting) -> Vec<Step> {
        let names = match &setting.place {
            Place::Header(name) => vec!["headers", name.as_str()],
            Place::Metadata(name) => vec!["metadata", name.as_str()],
            Place::Field(names) => names.iter().map(String::as_str).collect(),
            Place::Address => return vec![Step::Key(ADDRESS.to_owned())],
        };
        let names = iter::once(self.prober.name()).chain(names);
        let key = |name: &str| Step::Key(name.to_owned());
        // Metadata and lists get one entry.
        let is_list = setting.kind == Kind::List || matches!(setting.place, Place::Metadata(_));
        let entry = is_list.then_some(Step::Index(0));
        names.map(key).chain(entry).collect()
    }
}

impl Setting {
    /// Whether a problem at that path is one of its value.
    fn is_at(&self, path: &str) -> bool {
        let Place::Field(names) = &self.place else {
            return false;
        };
        let below = path.strip_prefix(names.join(".").as_str());
        below.is_some_and(|below| below.is_empty() || below.starts_with('['))
    }
}

/// How a field takes a value, if one value can be said.
fn kind_of(field: &Json) -> Option<Kind> {
    if field.get("$ref").is_some() || field.get("additionalProperties").is_some() {
        return None;
    }
    let types = field.get("type").and_then(Json::as_array);
    let has = |kind: &str| types.is_some_and(|types| types.iter().any(|t| t == kind));
    let words = field.get("enum").and_then(Json::as_array);
    if has("array") {
        // A list of sections cannot be said in one word.
        let is_plain = field.get("items")?.get("$ref").is_none();
        return is_plain.then_some(Kind::List);
    }
    Some(match words {
        Some(words) if words.contains(&Json::Bool(true)) => Kind::Truth,
        Some(words) => {
            let words = words
                .iter()
                .filter_map(Json::as_str)
                .filter(|word| !word.is_empty());
            Kind::Word(words.map(ToOwned::to_owned).collect())
        }
        None if has("number") && !has("string") => Kind::Number,
        None if field.get("pattern") == schema::duration().get("pattern") => Kind::Duration,
        None => Kind::Text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_were() {
        for text in [
            "",
            "a b",
            "\"\\",
            "caf\u{e9}",
            "\u{2028}a\u{85}\u{feff}",
            " # no: comment ",
            "${HOME}",
            "*a",
            "\u{10fd80}",
        ] {
            let written = format!("{{a: {}}}", quoted(text));
            let document = Document::parse(&written).unwrap().unwrap();
            let (_, node) = document.entry(document.root(), "a").unwrap();
            assert_eq!(document.text(node), Some(text), "{written}");
        }
    }
}
