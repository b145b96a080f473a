//! What the subcommand `doctor` prints.

use std::fmt::Write as _;

use serde_json::json;

use super::super::probe::{Look, escaped};
use super::attempt::State;
use super::examination::Examination;
use super::prescription::Prescription;
use crate::display::{duration, short};

/// Most characters of a text from outside.
const LONG: usize = 300;

/// For people.
pub fn as_text(target: &str, found: &Examination, prescription: &Prescription, look: Look) -> String {
    let mut out = String::new();
    let width = found
        .findings
        .iter()
        .map(|finding| finding.what.chars().count())
        .max()
        .unwrap_or(0);
    let mut topic = "";
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", short(target, LONG));
    for finding in &found.findings {
        if finding.topic != topic {
            topic = &finding.topic;
            let _ = writeln!(out, "\n{topic}");
        }
        let colour = match finding.state {
            State::Works => "32",
            State::Absent => "33",
            State::Fails => "1;31",
        };
        let word = look.paint(colour, &format!("{:<4}", finding.state.word()));
        let line = format!(
            "  {word}  {:<width$}  {:>9}  {}",
            finding.what,
            duration(finding.took),
            short(&finding.detail, LONG)
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
    for note in &prescription.notes {
        let _ = writeln!(out, "{note}");
    }
    let verdict = match &prescription.trouble {
        None => look.paint("32", "A probe with this module passes:"),
        Some(trouble) => look.paint("31", &format!("The target fails: {}", short(trouble, 2 * LONG))),
    };
    let _ = writeln!(out, "{verdict}");
    if let Some(advice) = &prescription.advice {
        let _ = writeln!(out, "{advice}");
    }
    let files = [
        ("blackbox.yml", prescription.configuration()),
        ("targets.yml", prescription.targets()),
        ("rules.yml", prescription.alert()),
    ];
    for (file, text) in files {
        let _ = write!(out, "\n# {file}\n{text}");
    }
    out
}

/// For machines.
pub fn as_json(target: &str, found: &Examination, prescription: &Prescription) -> String {
    let findings = found.findings.iter().map(|finding| {
        json!({
            "topic": finding.topic,
            "what": finding.what,
            "state": finding.state.word().to_lowercase(),
            "duration_seconds": finding.took.as_secs_f64(),
            "detail": finding.detail,
        })
    });
    let document = json!({
        "target": target,
        "findings": findings.collect::<Vec<_>>(),
        "success": prescription.trouble.is_none(),
        "trouble": prescription.trouble,
        "advice": prescription.advice,
        "notes": prescription.notes,
        "configuration": prescription.configuration(),
        "targets": prescription.targets(),
        "rules": prescription.alert(),
    });
    format!("{}\n", escaped(&document.to_string()))
}
