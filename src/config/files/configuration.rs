//! The configuration file: from its bytes to configuration data and everything that is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use go_yaml::{Content, Document};

use super::policy::Policy;
use super::source::Source;
use super::text::not_yaml;
use crate::config::codec::decode::{Decoder, NamedFile, Options};
use crate::config::codec::environment::ReferencedFiles;
use crate::config::codec::problem::Problem;
use crate::config::codec::schema;
use crate::config::codec::section::{Section, section};
use crate::config::codec::tree::Tree;
use crate::config::codec::value::{Json, Value as _, Variant};
use crate::config::module::Module;
use crate::config::module::exposition::Exposition;
use crate::config::module::hints::elsewhere;

section! {
    /// A whole configuration file.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Config {
        /// The modules by name. `None` is a module of which nothing was written but its name: it loads, as upstream, but
        /// nothing can be probed with it.
        always modules: BTreeMap<String, Option<Arc<Module>>> as NamedModules,
        /// What may be probed at all; ours.
        omit policy: Policy,
        /// Which further families are exposed; ours.
        omit exposition: Exposition,
    }
}

impl Section for Config {}

impl Config {
    /// The JSON Schema of the configuration file.
    pub fn json_schema() -> Json {
        schema::file("Configuration of blackbox_exporter", Self::schema)
    }
}

/// The modules; one of which nothing was written but its name is printed as an empty one.
struct NamedModules;

type ModuleMap = BTreeMap<String, Option<Arc<Module>>>;

impl Variant<ModuleMap> for NamedModules {
    fn tree(place: &ModuleMap) -> Tree {
        let empty = || Tree::Section(Vec::new());
        let entries = place
            .iter()
            .map(|(name, module)| (name.clone(), module.as_ref().map_or_else(empty, |m| m.shown())));
        Tree::Map(entries.collect())
    }
}

/// What a text holds.
#[derive(Debug)]
pub struct Parsed<'t> {
    /// The configuration; what was wrong is left out of it.
    pub config: Config,
    /// Everything that is wrong. Only when this is empty, `config` is what the user meant.
    pub problems: Vec<Problem>,
    /// What loads but is probably not meant.
    pub warnings: Vec<Problem>,
    /// Where things stand.
    pub source: Source<'t>,
    /// The files that it names: secrets, certificates, bodies.
    pub files: Vec<NamedFile>,
    /// The files that its references name.
    pub referenced: ReferencedFiles,
}

/// Reads a configuration file's text.
pub fn parse(text: &str) -> Parsed<'_> {
    parse_with(text, Options::default())
}

/// Reads a configuration file's text in another manner.
pub fn parse_with(text: &str, options: Options) -> Parsed<'_> {
    let mut parsed = Parsed {
        config: Config::default(),
        problems: Vec::new(),
        warnings: Vec::new(),
        source: Source::default(),
        files: Vec::new(),
        referenced: ReferencedFiles::default(),
    };
    match Document::parse(text) {
        Err(error) => parsed.problems.push(not_yaml(&error)),
        Ok(None) => {
            let problem = Problem::new(None, "the file is empty");
            let help = "the smallest configuration is \"modules: {}\"";
            parsed.problems.push(problem.with_help(help));
        }
        Ok(Some(document)) => {
            let mut decoder = Decoder::with(&document, options).hinting(elsewhere);
            parsed.config.decode(document.root(), &mut decoder);
            parsed.files = decoder.take_files();
            parsed.referenced = decoder.take_referenced();
            (parsed.problems, parsed.warnings) = decoder.finish();
            if let Content::Sequence(_) = document.node(document.root()).content
                && let Some(problem) = parsed.problems.first_mut()
            {
                let help = "a list of targets is for Prometheus' file_sd; that of --targets.file is `targets: [{name: …, address: …}]`";
                problem.help = Some(help.to_owned());
            }
            if let Some(at) = document.ignored() {
                let message = "the document ends above this line: the rest of the file is not read";
                let help = "indent the first line like the others";
                parsed
                    .warnings
                    .push(Problem::new(Some(at), message).with_help(help));
            }
            parsed.source = Source::of(document);
        }
    }
    parsed
}
