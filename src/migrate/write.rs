//! Writes a targets file.

use std::fmt::Write;

use super::Migration;
use crate::config::files::targets::format_milliseconds;

/// The targets file, with what is missing in it as comments at its head.
pub fn targets_file(migration: &Migration) -> String {
    let mut text = String::new();
    if !migration.lost.is_empty() {
        text.push_str("# Not carried over:\n");
    }
    for note in &migration.lost {
        // A note quotes the source, which may have line breaks.
        _ = writeln!(text, "# - {}", note.replace(['\n', '\r'], " "));
    }
    text.push_str("targets:\n");
    for target in &migration.targets {
        _ = writeln!(text, "  - name: {}", quoted(&target.name));
        _ = writeln!(text, "    address: {}", quoted(&target.address));
        for (key, value) in [("module", &target.module), ("hostname", &target.hostname)] {
            if !value.is_empty() {
                _ = writeln!(text, "    {key}: {}", quoted(value));
            }
        }
        for (key, value) in [("interval", target.interval), ("timeout", target.timeout)] {
            if let Some(value) = value {
                _ = writeln!(text, "    {key}: {}", format_milliseconds(value));
            }
        }
        for (section, values) in [("params", &target.params), ("labels", &target.labels)] {
            if !values.is_empty() {
                _ = writeln!(text, "    {section}:");
            }
            for (name, value) in values {
                _ = writeln!(text, "      {}: {}", key(name), quoted(value));
            }
        }
    }
    text
}

/// The name of a label, quoted where YAML would read something else than a text.
pub(super) fn key(label: &str) -> String {
    let plain = label.len() > 1 && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let word =
        ["yes", "no", "on", "off", "true", "false", "null"].contains(&label.to_ascii_lowercase().as_str());
    if plain && !word && !label.starts_with(|c: char| c.is_ascii_digit()) {
        label.to_owned()
    } else {
        quoted(label)
    }
}

/// A JSON string is a YAML string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use crate::config::files::targets::{Target, Targets};
    use crate::migrate::{Migration, targets_file};

    #[test]
    fn what_is_written_can_be_read() {
        let target = Target {
            name: "a \"quoted\" name\n".to_owned(),
            address: "http://x/?a=b#c: d".to_owned(),
            module: "http_2xx".to_owned(),
            hostname: "é".to_owned(),
            params: [("query_name".to_owned(), "a: b".to_owned())].into(),
            labels: ["on", "n", "target", "empty"]
                .map(|label| (label.to_owned(), String::new()))
                .into(),
            interval: Some(90_000),
            timeout: Some(1500),
            ..Target::default()
        };
        let migration = Migration {
            targets: vec![
                target.clone(),
                Target {
                    name: "b".into(),
                    address: "y".into(),
                    ..Target::default()
                },
            ],
            lost: vec!["a note\nwith: a break".to_owned()],
            ..Migration::default()
        };
        let text = targets_file(&migration);
        assert!(
            text.starts_with("# Not carried over:\n# - a note with: a break\ntargets:\n"),
            "{text}"
        );
        let mut read = Targets::parse(&text).unwrap().targets;
        for target in &mut read {
            target.at = Default::default();
        }
        assert_eq!(read, migration.targets);
        assert_eq!(
            Targets::parse(&targets_file(&Migration::default())).unwrap(),
            Targets::default()
        );
    }
}
