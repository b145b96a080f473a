//! Writes a targets file.

use std::fmt::Write;

use super::Migration;

/// The targets file, with the notes as comments at its head.
pub fn targets_file(migration: &Migration) -> String {
    let mut text = String::new();
    if !migration.notes.is_empty() {
        text.push_str("# Not carried over:\n");
    }
    for note in &migration.notes {
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
                _ = writeln!(text, "    {key}: {}", duration(value));
            }
        }
        if !target.labels.is_empty() {
            text.push_str("    labels:\n");
        }
        for (label, value) in &target.labels {
            _ = writeln!(text, "      {label}: {}", quoted(value));
        }
    }
    text
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Milliseconds as Prometheus and Go write durations.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}
