//! Puts the module files of several exporters into one.
//!
//! A name that stands for different modules in two files is renamed in the later one, so that no target gets the
//! module of another exporter.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use super::Names;
use crate::config::yaml::{Content, Document, Id};

/// A merged file is no longer than this, however often aliases repeat a text.
const MAX_TEXT: usize = 1 << 20;
const MAX_DEPTH: usize = 64;

/// The modules of all files.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Merged {
    /// The text of the one file.
    pub text: String,
    /// Old and new names, a map per file.
    pub renamed: Vec<BTreeMap<String, String>>,
}

/// Merges `(suffix, text)`; the suffix makes a name unique that is taken.
pub(super) fn merge(files: &[(String, String)]) -> Result<Merged, String> {
    let mut merged = Merged {
        renamed: vec![BTreeMap::new(); files.len()],
        ..Merged::default()
    };
    if let [(_, first), rest @ ..] = files
        && rest.iter().all(|(_, text)| text == first)
    {
        merged.text.clone_from(first);
        return Ok(merged);
    }
    let mut modules: Vec<(String, String)> = Vec::new();
    let mut names = Names::default();
    // The new names, by what a module was called and contains.
    let mut known = HashMap::new();
    for ((suffix, text), renamed) in files.iter().zip(&mut merged.renamed) {
        for (name, body) in bodies(text)? {
            let unique = known.entry((name.clone(), body.clone())).or_insert_with(|| {
                let wanted = match names.taken.contains(&name) {
                    true => format!("{name}_{suffix}"),
                    false => name.clone(),
                };
                let unique = names.unique(&wanted, "_");
                modules.push((unique.clone(), body));
                unique
            });
            if *unique != name {
                renamed.insert(name, unique.clone());
            }
        }
    }
    merged.text.push_str("modules:\n");
    for (name, body) in modules {
        _ = writeln!(merged.text, "  {}:{body}", super::write::quoted(&name));
    }
    Ok(merged)
}

/// The names and bodies of the modules, in the order of the text.
fn bodies(text: &str) -> Result<Vec<(String, String)>, String> {
    let document = super::document(text).map_err(|error| error.to_string())?;
    let Some((_, modules)) = document.entry(document.root(), "modules") else {
        return Err("there is no key `modules`".to_owned());
    };
    let Content::Mapping(entries) = &document.node(document.target(modules)).content else {
        return Ok(Vec::new());
    };
    let mut bodies = Vec::new();
    for (key, value) in entries {
        if document.is_merge(*key) {
            return Err("`<<` among the modules".to_owned());
        }
        let name = document.text(*key).unwrap_or_default().to_owned();
        let mut body = String::new();
        write(&document, *value, 4, &mut body)?;
        bodies.push((name, body));
    }
    Ok(bodies)
}

/// A node in block style, behind the colon of its key.
fn write(document: &Document<'_>, id: Id, indent: usize, text: &mut String) -> Result<(), String> {
    if text.len() > MAX_TEXT || indent > 2 * MAX_DEPTH {
        return Err("the modules are nested too deeply or too long".to_owned());
    }
    let node = document.node(document.target(id));
    if let Some(tag) = &node.tag {
        _ = write!(text, " {tag}");
    }
    match &node.content {
        Content::Scalar { text: value, plain } => {
            let bare = *plain
                && value
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+' | '-' | '~' | '/'))
                && value.chars().any(|c| c.is_ascii_alphanumeric());
            text.push(' ');
            match value.as_ref() {
                "" | "~" if *plain => text.push_str("null"),
                value if bare => text.push_str(value),
                value => text.push_str(&super::write::quoted(value)),
            }
        }
        Content::Sequence(items) if items.is_empty() => text.push_str(" []"),
        Content::Mapping(entries) if entries.is_empty() => text.push_str(" {}"),
        Content::Sequence(items) => {
            for item in items {
                _ = write!(text, "\n{:indent$}-", "");
                write(document, *item, indent + 2, text)?;
            }
        }
        Content::Mapping(entries) => {
            for (key, value) in entries {
                let name = document.text(*key).ok_or("a key that is not text")?;
                let name = match document.is_merge(*key) {
                    true => name.to_owned(),
                    false => super::write::key(name),
                };
                _ = write!(text, "\n{:indent$}{name}:", "");
                write(document, *value, indent + 2, text)?;
            }
        }
        Content::Alias(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn merged(files: &[(&str, &str)]) -> Result<Merged, String> {
        let files: Vec<_> = files
            .iter()
            .map(|(suffix, text)| ((*suffix).to_owned(), (*text).to_owned()))
            .collect();
        merge(&files)
    }

    #[test]
    fn one_file_stays_as_it_is() {
        let text = "# a comment\nmodules: {a: {prober: tcp}}\n";
        assert_eq!(merged(&[("x", text), ("y", text)]).unwrap().text, text);
    }

    #[test]
    fn different_modules_of_one_name_stay_apart() {
        let first = r#"
modules:
  http_2xx: {prober: http, timeout: 5s}
  same: &same {prober: tcp, tcp: {query_response: [{expect: "^a: b,{c}$"}, {send: "1"}]}}
  alias: *same
"#;
        let second = r#"{ modules: { http_2xx: { prober: http, http: { valid_status_codes: [404, 0x10],
            headers: {X: "on", "Y: z": 'it''s'}, fail_if_body_matches_regexp: [a,b] } },
            same: {prober: tcp, tcp: {query_response: [{expect: "^a: b,{c}$"}, {send: "1"}]}}, "": {prober: icmp} } }"#;
        let merged = merged(&[("a", first), ("b", second)]).unwrap();
        assert_eq!(
            merged.renamed,
            [
                BTreeMap::new(),
                [("http_2xx".to_owned(), "http_2xx_b".to_owned())].into()
            ]
        );
        let read = config::parse(&merged.text);
        assert!(read.problems.is_empty(), "{}: {:?}", merged.text, read.problems);
        let (one, two) = (config::parse(first), config::parse(second));
        for (name, wanted) in [
            ("http_2xx", &one.config.modules["http_2xx"]),
            ("alias", &one.config.modules["same"]),
            ("http_2xx_b", &two.config.modules["http_2xx"]),
            ("same", &two.config.modules["same"]),
            ("", &two.config.modules[""]),
        ] {
            assert_eq!(&read.config.modules[name], wanted, "{name}: {}", merged.text);
        }
    }

    #[test]
    fn what_cannot_be_merged_is_said() {
        for (text, wanted) in [
            ("a: [", "not YAML"),
            ("{}", "no key `modules`"),
            ("modules: {<<: {a: {}}}", "`<<` among the modules"),
            ("", "the file is empty"),
        ] {
            let error = merged(&[("a", "modules: {}"), ("b", text)]).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
