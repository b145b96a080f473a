//! `params:` of a module (ours): which of its settings a scrape may set, and to what.

use serde_json::Value as Json;

use super::decode::{Decoder, Section};
use super::value::{Fields, section};
use super::yaml::{Document, Id};
use super::{Module, Prober, canonical_header};

/// What one parameter may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Param {
    /// A regular expression (RE2 syntax) that the whole value must match.
    pub matches: String,
    /// The values that it may have; any when empty.
    pub one_of: Vec<String>,
    /// Whether a scrape must give it.
    pub required: bool,
    /// Whether the value is kept out of pages.
    pub secret: bool,
}

section!(Param {
    omit matches;
    omit one_of;
    omit required;
    omit secret;
});

impl Section for Param {
    fn begin(&mut self) {
        *self = Self::default();
    }

    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        if let Some(problem) = d.key_of_this().and_then(refused_name) {
            d.report(node, problem, None);
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

/// How a field takes a value.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    /// A number or truth value, which stands without quotes.
    Plain,
    List,
}

impl Module {
    /// Whether a parameter names a setting of this module's prober.
    pub fn has_param(&self, name: &str) -> bool {
        header_of(self.prober, name).is_some() || self.kind_of(name).is_some()
    }

    /// Sets what a parameter names.
    ///
    /// # Errors
    /// The value is none of that setting.
    pub fn set_param(&mut self, name: &str, value: &str) -> Result<(), String> {
        if let Some(header) = header_of(self.prober, name) {
            if self.prober == Prober::Grpc {
                self.grpc
                    .metadata
                    .insert(header.to_owned(), vec![value.to_owned()]);
                return Ok(());
            }
            let headers = &mut self.http.headers;
            headers.retain(|other, _| canonical_header(other) != canonical_header(header));
            headers.insert(header.to_owned(), value.to_owned());
            return Ok(());
        }
        let kind = self.kind_of(name).ok_or("no such setting")?;
        // What JSON escapes, YAML reads in double quotes.
        let quoted = Json::from(value).to_string();
        let written = match kind {
            Kind::Text => quoted,
            // A text stays the same without quotes, and a code must have none.
            Kind::List if value.bytes().all(|b| b.is_ascii_digit()) => format!("[{value}]"),
            Kind::List => format!("[{quoted}]"),
            Kind::Plain if value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => value.to_owned(),
            Kind::Plain => return Err("expected a number or a truth value".to_owned()),
        };
        let (first, rest) = split(name);
        let text = rest
            .iter()
            .rev()
            .fold(written, |inner, key| format!("{{{key}: {inner}}}"));
        let document = Document::parse(&text)
            .map_err(|error| error.message.into_owned())?
            .ok_or("an empty value")?;
        let mut decoder = Decoder::new(&document);
        self.section(|section| section.field(first, document.root(), &mut decoder));
        let (problems, _) = decoder.finish();
        problems
            .first()
            .map_or(Ok(()), |problem| Err(problem.message.clone()))
    }

    /// Does something with the section of the prober.
    fn section(&mut self, act: impl FnOnce(&mut dyn AnySection) -> bool) -> bool {
        match self.prober {
            Prober::Http => act(&mut *self.http),
            Prober::Tcp => act(&mut *self.tcp),
            Prober::Icmp => act(&mut *self.icmp),
            Prober::Dns => act(&mut *self.dns),
            Prober::Grpc => act(&mut *self.grpc),
            Prober::Unix => act(&mut *self.unix),
            Prober::Websocket => act(&mut *self.websocket),
        }
    }

    /// How the setting of that name takes a value, by its own schema.
    fn kind_of(&self, name: &str) -> Option<Kind> {
        let schema = super::schema::config();
        let mut section = schema.pointer(&format!("/$defs/{}", type_name(self.prober)))?;
        let (first, rest) = split(name);
        let mut field = section.get("properties")?.get(first)?;
        for key in rest {
            section = schema.pointer(field.get("$ref")?.as_str()?.strip_prefix('#')?)?;
            field = section.get("properties")?.get(key)?;
        }
        if field.get("$ref").is_some() || field.get("additionalProperties").is_some() {
            return None;
        }
        let types = field.get("type").and_then(Json::as_array);
        let has = |kind: &str| types.is_some_and(|types| types.iter().any(|t| t == kind));
        let words = field.get("enum").and_then(Json::as_array);
        let is_truth = words.is_some_and(|words| words.contains(&Json::Bool(true)));
        if has("array") {
            // A list of sections cannot be said in one word.
            let is_plain = field.get("items")?.get("$ref").is_none();
            return is_plain.then_some(Kind::List);
        }
        let is_number = has("number") && !has("string");
        Some(if is_truth || is_number {
            Kind::Plain
        } else {
            Kind::Text
        })
    }
}

/// A section whatever its type.
trait AnySection {
    fn field(&mut self, name: &str, value: Id, d: &mut Decoder<'_, '_>) -> bool;
}

impl<F: Fields> AnySection for F {
    fn field(&mut self, name: &str, value: Id, d: &mut Decoder<'_, '_>) -> bool {
        Fields::field(self, name, value, d)
    }
}

/// The section's name in the schema.
fn type_name(prober: Prober) -> &'static str {
    match prober {
        Prober::Http => "Http",
        Prober::Tcp => "Tcp",
        Prober::Icmp => "Icmp",
        Prober::Dns => "Dns",
        Prober::Grpc => "Grpc",
        Prober::Unix => "Unix",
        Prober::Websocket => "Websocket",
    }
}

/// `header.NAME` of http, `metadata.NAME` of grpc.
fn header_of(prober: Prober, name: &str) -> Option<&str> {
    let prefix = match prober {
        Prober::Http => "header.",
        Prober::Grpc => "metadata.",
        _ => return None,
    };
    name.strip_prefix(prefix).filter(|name| !name.is_empty())
}

/// A setting's name, and the names below it; `server_name` is that of `tls_config`.
fn split(name: &str) -> (&str, Vec<&str>) {
    if name == "server_name" {
        return ("tls_config", vec![name]);
    }
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or(name);
    (first, parts.collect())
}
