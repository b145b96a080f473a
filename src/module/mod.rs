//! Compiled modules: immutable, behind `Arc`, made once a reload and never in a probe.

pub mod clashes;
mod dns;
pub mod draft;
mod files;
mod grpc;
pub mod http;
mod icmp;
pub mod load;
mod params;
mod query_response;
pub mod sources;
pub mod store;
mod tcp;
mod trace;
mod unix;
mod variants;
mod websocket;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use dns::{Dns, DnsTransport, NameError, Pattern, Query, RrValidator};
pub use grpc::Grpc;
pub use http::Http;
pub use icmp::Icmp;
pub use load::{Loaded, parse};
pub use params::{Given, ParamError, ParamInput, Params, Rule};
pub use query_response::{Expect, InfoLabel, Step};
pub use sources::Sources;
pub use store::Store;
pub use tcp::Tcp;
pub use unix::Unix;
pub use variants::Values;
pub use websocket::Websocket;

use crate::check::cel::{Cel, CelError};
use crate::check::regexp::{self, Regexp};
use crate::config;
use crate::config::module::vantage::Addresses;
use crate::config::{Author, Exposition};
use crate::net::dial::Vantage;
use crate::net::resolve::NameServer;
use crate::net::tls::ClientTls;
use variants::Variants;

/// One module, ready to run.
#[derive(Debug)]
pub struct Module {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The longest a probe may take, if the module says so.
    pub timeout: Option<Duration>,
    /// How often a probe is made until it succeeds.
    pub attempts: u32,
    /// Where its connections come from.
    pub vantage: Vantage,
    /// The name server that is asked instead of the system's.
    pub name_server: Option<NameServer>,
    /// Which addresses of the target are dialled.
    pub addresses: Addresses,
    /// The address that is dialled whatever the target's name has.
    pub ip_address: Option<IpAddr>,
    /// Which further families it exposes.
    pub exposition: Exposition,
    /// What the user wrote, for `/config`, `debug=true` and the pages.
    pub raw: Arc<config::Module>,
    /// The compiled section of its prober.
    pub kind: Kind,
    /// What a scrape may set.
    pub params: Option<Box<Params>>,
    /// What a scrape has set.
    pub given: Arc<[Given]>,
    /// Those of its values that are names, for the policy.
    pub given_names: Box<[String]>,
    /// What it has set and nobody may read, and what references stand for.
    pub secrets: Box<[config::Secret]>,
    /// The expressions of a module with parameters, for those that are made of it.
    expressions: Option<Box<Expressions>>,
}

/// The compiled section of the chosen prober.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Kind {
    Http(Box<Http>),
    Tcp(Box<Tcp>),
    Icmp(Box<Icmp>),
    Dns(Box<Dns>),
    Grpc(Box<Grpc>),
    Unix(Box<Unix>),
    Websocket(Box<Websocket>),
}

impl Module {
    /// The prober of this module.
    pub fn prober(&self) -> config::Prober {
        self.raw.prober
    }

    /// The rule of a parameter that a scrape may set.
    pub fn param(&self, name: &str) -> Option<&Rule> {
        let rules = self.params.as_ref()?.rules();
        rules.iter().find(|rule| rule.name() == name)
    }

    /// Compiles one module. The sections of other probers are judged as well, because upstream does.
    pub fn compile(name: &str, raw: &Arc<config::Module>, problems: &mut Problems) -> Self {
        name.clone_into(&mut problems.module);
        problems.used = (!raw.params.is_empty()).then(Box::default);
        let kind = Kind::compile(raw.prober, raw, problems);
        for prober in config::Prober::ALL {
            if prober != raw.prober && !raw.is_default(prober) {
                Kind::compile(prober, raw, problems);
            }
        }
        trace::judge(raw, problems);
        let timeout = u64::try_from(raw.timeout)
            .ok()
            .filter(|ns| *ns > 0)
            .map(Duration::from_nanos);
        Self {
            name: name.into(),
            timeout,
            attempts: raw.most_attempts(),
            // Invariant: what cannot be read was refused when the configuration was.
            vantage: Vantage {
                source: raw.vantage.source().flatten(),
                interface: Some(raw.vantage.source_interface.as_str())
                    .filter(|name| !name.is_empty())
                    .map(Into::into),
                dscp: raw.vantage.code_point().flatten(),
            },
            name_server: name_server(raw, problems),
            addresses: raw.vantage.choice().unwrap_or_default(),
            ip_address: raw.ip_address,
            exposition: raw.exposition.within(Exposition::default()),
            raw: Arc::clone(raw),
            kind,
            expressions: problems.used.take(),
            params: Params::compile(raw, problems),
            given: Arc::default(),
            given_names: Box::default(),
            secrets: raw
                .expanded
                .iter()
                .flat_map(|expanded| expanded.hidden.iter().cloned())
                .collect(),
        }
    }
}

fn name_server(module: &config::Module, problems: &mut Problems) -> Option<NameServer> {
    let raw = &module.vantage;
    if raw.resolver.is_empty() {
        return None;
    }
    let nanoseconds = |number: i64| u64::try_from(number).map(Duration::from_nanos).ok();
    let timeout = nanoseconds(raw.resolver_timeout).filter(|timeout| !timeout.is_zero());
    let keep = nanoseconds(raw.resolver_cache).unwrap_or_default();
    let server = NameServer::read(&raw.resolver, &raw.resolver_tls_config, timeout, keep);
    server
        .map_err(|error| {
            let message = match module.is_expanded("resolver") {
                true => config::INVALID_REFERENCE.to_owned(),
                false => error,
            };
            problems.report("resolver", message);
        })
        .ok()
}

impl Kind {
    fn compile(prober: config::Prober, raw: &config::Module, problems: &mut Problems) -> Self {
        match prober {
            config::Prober::Http => Self::Http(Box::new(Http::compile(&raw.http, problems))),
            config::Prober::Tcp => Self::Tcp(Box::new(Tcp::compile(&raw.tcp, problems))),
            config::Prober::Icmp => Self::Icmp(Box::new(Icmp::compile(&raw.icmp, problems))),
            config::Prober::Dns => Self::Dns(Box::new(Dns::compile(&raw.dns, problems))),
            config::Prober::Grpc => Self::Grpc(Box::new(Grpc::compile(&raw.grpc, problems))),
            config::Prober::Unix => Self::Unix(Box::new(Unix::compile(&raw.unix, problems))),
            config::Prober::Websocket => {
                Self::Websocket(Box::new(Websocket::compile(&raw.websocket, problems)))
            }
        }
    }

    /// The TLS settings of the first handshake of a probe of `target`, if there will be one.
    pub fn tls(&self, target: &str) -> Option<&ClientTls> {
        let has_scheme = |wanted: &str| {
            let scheme = target.split_once(':').map_or("", |(scheme, _)| scheme);
            scheme.eq_ignore_ascii_case(wanted)
        };
        match self {
            Self::Http(module) => has_scheme("https").then_some(&module.tls),
            Self::Tcp(module) => module.speaks_tls().then_some(&module.tls_config),
            Self::Unix(module) => {
                let starts = module.tls || module.steps.iter().any(|step| step.starttls);
                starts.then_some(&module.tls_config)
            }
            Self::Dns(module) => module.tls.as_ref(),
            Self::Grpc(module) => module.tls_config.as_ref().filter(|_| module.tls),
            Self::Websocket(module) => has_scheme("wss").then_some(&module.tls_config),
            Self::Icmp(_) => None,
        }
    }
}

/// The modules of one configuration.
#[derive(Debug, Default)]
pub struct Modules {
    by_name: HashMap<Arc<str>, Arc<Module>>,
}

impl Modules {
    /// Compiles every module.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the module names.
    pub fn compile(config: &config::Config, problems: &mut Problems) -> Result<Self, Vec<ModuleProblem>> {
        let mut by_name = HashMap::with_capacity(config.modules.len());
        for (name, raw) in &config.modules {
            // A module without any setting cannot be probed with.
            let Some(raw) = raw else { continue };
            let mut module = Module::compile(name, raw, problems);
            module.exposition = raw.exposition.within(config.exposition);
            by_name.insert(Arc::clone(&module.name), Arc::new(module));
        }
        if problems.found.is_empty() {
            Ok(Self { by_name })
        } else {
            Err(std::mem::take(&mut problems.found))
        }
    }

    /// The module of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Module>> {
        self.by_name.get(name)
    }

    /// Adds the modules of another configuration.
    fn extend(&mut self, other: Self) {
        self.by_name.extend(other.by_name);
    }

    /// How many modules there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no module.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All modules, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Module>> {
        self.by_name.values()
    }
}

/// Something in a module that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleProblem {
    /// The module.
    pub module: String,
    /// Where in it: `http.fail_if_body_matches_regexp[0]`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// Line and column within the value, both from 0.
    pub within: Option<(usize, usize)>,
}

impl fmt::Display for ModuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "module {:?}: {}: {}", self.module, self.path, self.message)
    }
}

/// `source_ip_address` of a section, if there is one. A text that is no address fails the probe, not the configuration.
pub type SectionSource = Option<Result<IpAddr, String>>;

/// Collects what is wrong while modules are compiled, and shares what several of them have in common.
#[derive(Debug, Default)]
pub struct Problems {
    module: String,
    found: Vec<ModuleProblem>,
    /// What loads upstream, although probes will fail.
    warned: Vec<ModuleProblem>,
    known: Expressions,
    /// Those of the module under compilation, if it has parameters.
    used: Option<Box<Expressions>>,
    bound: Bound,
    variants: Arc<Variants>,
    tls: HashMap<config::Shared<config::Tls>, ClientTls>,
}

/// What an expression that is not known yet may take, by where it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Bound {
    /// A file of the operator: as much as upstream lets it.
    #[default]
    File,
    /// The value of a scrape: next to nothing.
    Value,
    /// A draft: little memory, and few of them.
    Draft,
}

/// Maximum regular expressions in a module of an untrusted author.
const MOST_EXPRESSIONS: usize = 20;

/// Compiled expressions by what was written.
#[derive(Clone, Debug, Default)]
struct Expressions {
    regexps: HashMap<String, Result<Regexp, regexp::Error>>,
    cels: HashMap<String, Result<Cel, CelError>>,
}

impl Expressions {
    /// These and others.
    fn and<'e>(&'e mut self, others: Option<&'e mut Box<Self>>) -> impl Iterator<Item = &'e mut Self> {
        std::iter::once(self).chain(others.map(|others| &mut **others))
    }
}

impl Problems {
    /// Nothing yet of what this author wrote.
    pub fn of(author: Author) -> Self {
        let bound = match author {
            Author::Operator => Bound::File,
            Author::Untrusted => Bound::Draft,
        };
        Self {
            bound,
            ..Self::default()
        }
    }

    /// With a place for modules that are made of parameters, which those of other files have, too.
    fn keeping(self, variants: &Arc<Variants>) -> Self {
        Self {
            variants: Arc::clone(variants),
            ..self
        }
    }

    /// For a module made of `module` and values of a scrape.
    fn of_variant(module: &Module) -> Self {
        Self {
            known: module.expressions.as_deref().cloned().unwrap_or_default(),
            bound: Bound::Value,
            ..Self::default()
        }
    }

    /// Reports a problem at `path` of the module under compilation.
    pub fn report(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.found.push(ModuleProblem {
            module: self.module.clone(),
            path: path.into(),
            message: message.into(),
            help: None,
            within: None,
        });
    }

    /// Warns of what loads and makes probes fail, as it does upstream.
    pub fn warn(&mut self, path: impl Into<String>, message: impl fmt::Display, help: Option<&str>) {
        self.warned.push(ModuleProblem {
            module: self.module.clone(),
            path: path.into(),
            message: message.to_string(),
            help: help.map(str::to_owned),
            within: None,
        });
    }

    /// Reads the source address of a section, and warns of one that is none.
    pub fn source(&mut self, path: &str, written: &str) -> SectionSource {
        if written.is_empty() {
            return None;
        }
        let read = written.parse::<IpAddr>().map(|ip| ip.to_canonical());
        if read.is_err() {
            let message = format_args!("{written:?} is no IP address: every probe fails");
            self.warn(path, message, None);
        }
        Some(read.map_err(|_| written.to_owned()))
    }

    /// Reports an expression that does not compile.
    pub fn report_regexp(&mut self, path: impl Into<String>, error: &regexp::Error) {
        self.report(path, error.to_string());
        if let Some(problem) = self.found.last_mut() {
            problem.help = error.hint().map(str::to_owned);
        }
    }

    /// Reports a CEL expression that does not compile.
    pub fn report_cel(&mut self, path: impl Into<String>, error: &CelError) {
        self.report(path, error.to_string());
        if let Some(problem) = self.found.last_mut() {
            problem.within = error.at();
        }
    }

    /// Compiles a regular expression, once for all modules that have it. An error is the caller's to judge: some are
    /// problems of the configuration, some of the probe.
    ///
    /// # Errors
    /// What Go says about it.
    pub fn regexp(&mut self, source: &str) -> Result<Regexp, regexp::Error> {
        let known = self.known.regexps.get(source).cloned();
        let is_full = self.known.regexps.len() >= MOST_EXPRESSIONS;
        if known.is_none() && self.bound == Bound::Draft && is_full {
            let message = format!("more than {MOST_EXPRESSIONS} regular expressions");
            if !self.found.iter().any(|problem| problem.message == message) {
                self.report("", message);
            }
            return Regexp::new("");
        }
        let compiled = known.unwrap_or_else(|| match self.bound {
            Bound::File => Regexp::new(source),
            Bound::Value => Regexp::small(source),
            Bound::Draft => Regexp::within(source, regexp::Limits::SMALL),
        });
        for all in self.known.and(self.used.as_mut()) {
            all.regexps
                .entry(source.to_owned())
                .or_insert_with(|| compiled.clone());
        }
        compiled
    }

    /// Compiles a regular expression at `path`; one that does not compile is reported.
    pub fn expression(&mut self, path: impl Into<String>, source: &str) -> Option<Regexp> {
        let path = path.into();
        let compiled = self.regexp(source);
        let compiled = compiled.map_err(|error| self.report_regexp(path.clone(), &error));
        let repeated = ["^+", "^*", "^?"]
            .into_iter()
            .find(|repeated| source.starts_with(repeated));
        if let (Ok(_), Some(repeated)) = (&compiled, repeated) {
            let sign = repeated.trim_start_matches('^');
            let message = format_args!(
                "{repeated} repeats the anchor and matches no {sign}: write ^\\{sign} for text that begins with {sign}"
            );
            self.warn(path, message, None);
        }
        compiled.ok()
    }

    /// Compiles a CEL expression, once for all modules that have it.
    ///
    /// # Errors
    /// What does not parse, and names and functions that do not exist.
    pub fn cel(&mut self, source: &str) -> Result<Cel, CelError> {
        let known = self.known.cels.get(source).cloned();
        let compiled = known.unwrap_or_else(|| match self.bound {
            Bound::File => Cel::new(source),
            Bound::Value | Bound::Draft => Cel::untrusted(source),
        });
        for all in self.known.and(self.used.as_mut()) {
            all.cels
                .entry(source.to_owned())
                .or_insert_with(|| compiled.clone());
        }
        compiled
    }

    /// The TLS client of a `tls_config`, one for all modules that have it.
    pub fn tls(&mut self, raw: &config::Shared<config::Tls>) -> ClientTls {
        if let Some(known) = self.tls.get(raw) {
            return known.clone();
        }
        let client = ClientTls::new(raw.clone());
        self.tls.insert(raw.clone(), client.clone());
        client
    }

    /// Everything reported so far.
    pub fn found(&self) -> &[ModuleProblem] {
        &self.found
    }
}
