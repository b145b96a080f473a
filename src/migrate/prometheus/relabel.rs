//! Relabelling rules, which are carried out on the labels of a target. Only those that replace are understood.

use std::collections::BTreeMap;

use super::yaml::Yaml;
use crate::check::{Regexp, Template};
use crate::config::yaml::Id;

/// The labels of a target before its scrape.
pub(super) type Labels = BTreeMap<String, String>;

/// Longest value of a label and longest replacement that rules are carried out with: each may double what is there.
const LONGEST: usize = 4 << 10;

/// A relabelling rule that is understood.
pub(super) struct Rule {
    sources: Vec<String>,
    separator: String,
    target: String,
    regexp: Regexp,
    replacement: Template,
}

impl Rule {
    /// Reads a rule; the error says that it is another one.
    pub fn read(yaml: &Yaml<'_, '_>, rule: Id) -> Result<Self, String> {
        let text = |key: &str, default: &str| yaml.text(rule, key).unwrap_or_else(|| default.to_owned());
        let action = text("action", "replace");
        let regex = text("regex", "(.*)");
        let replacement = text("replacement", "$1");
        // As Prometheus compiles it: it must match the whole value.
        let regexp = Regexp::new(&format!("^(?s:{regex})$"));
        match (yaml.text(rule, "target_label"), regexp) {
            (Some(target), Ok(regexp))
                if action.eq_ignore_ascii_case("replace")
                    && !target.contains('$')
                    && replacement.len() <= LONGEST =>
            {
                Ok(Self {
                    sources: yaml.texts(rule, "source_labels"),
                    separator: text("separator", ";"),
                    target,
                    replacement: Template::new(replacement.as_bytes(), &regexp),
                    regexp,
                })
            }
            _ => Err(format!(
                "the relabelling rule (action {action}, regex {regex:?}) was left out; keep it on the job that has http_sd_configs"
            )),
        }
    }

    /// Carries it out; the error says that it makes a label that is too long.
    pub fn apply(&self, labels: &mut Labels) -> Result<(), String> {
        let too_long = || format!("a relabelling rule makes a label of more than {LONGEST} bytes");
        let values = self
            .sources
            .iter()
            .map(|name| labels.get(name).map_or("", String::as_str));
        let joined = values.collect::<Vec<_>>().join(&self.separator);
        if joined.len() > LONGEST {
            return Err(too_long());
        }
        let Some(found) = self.regexp.captures(joined.as_bytes()) else {
            return Ok(());
        };
        let value = self.replacement.expand(Some(&found));
        let value = String::from_utf8_lossy(&value).into_owned();
        if value.len() > LONGEST {
            return Err(too_long());
        }
        set(labels, &self.target, value);
        Ok(())
    }
}

/// Sets a label; a value that is empty takes it away.
pub(super) fn set(labels: &mut Labels, label: &str, value: String) {
    if value.is_empty() {
        labels.remove(label);
    } else {
        labels.insert(label.to_owned(), value);
    }
}
