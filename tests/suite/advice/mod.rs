//! The advice for failed probes, over real sockets. What is said in each situation stands in the tables of `docs/advice.md`, which
//! `UPDATE_DOCS=1 cargo test --test suite advice -- --test-threads=1` writes and these tests check.

mod http;
mod names;
pub mod protocols;
mod targets;
mod tls;

use std::path::PathBuf;

use blackbox_exporter::prober::Outcome;
use blackbox_exporter::reason::Reason;

use crate::support::probe;

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/advice.md")
}

/// The rows of one table.
struct Table {
    name: &'static str,
    rows: Vec<(String, String)>,
}

impl Table {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            rows: Vec::new(),
        }
    }

    /// Probes a target that fails, and keeps what is said. Ports differ from run to run and are written PORT.
    async fn row(&mut self, situation: &str, yaml: &str, target: &str) {
        self.row_without(situation, yaml, target, &[]).await;
    }

    /// The same with other texts that differ from run to run.
    async fn row_without(&mut self, situation: &str, yaml: &str, target: &str, hidden: &[(&str, &str)]) {
        let outcome = probe(yaml, target).await;
        self.add(situation, &outcome, target, hidden);
    }

    fn add(&mut self, situation: &str, outcome: &Outcome, target: &str, hidden: &[(&str, &str)]) {
        let log = crate::support::log(outcome);
        assert!(!outcome.success, "{situation}: {log:#?}");
        let advice = outcome.advice.as_deref();
        let mut said = advice
            .unwrap_or_else(|| panic!("{situation}: no advice: {log:#?}"))
            .to_owned();
        for (text, instead) in hidden {
            said = said.replace(text, instead);
        }
        if let Some(port) = port(target) {
            said = said.replace(&port, "PORT");
        }
        assert!(said.chars().count() < 700, "{situation}: {said}");
        assert!(!said.contains('\n'), "{situation}: {said}");
        self.rows.push((situation.to_owned(), said));
    }

    /// Compares the table with that of the page, or writes it there.
    fn check(self) {
        let (begin, end) = (format!("<!-- table: {} -->", self.name), "<!-- end -->");
        let mut table = format!("{begin}\n\n| Situation | Advice |\n|---|---|\n");
        for (situation, said) in &self.rows {
            let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
            table.push_str(&format!("| {} | {} |\n", cell(situation), cell(said)));
        }
        table.push('\n');
        let text = std::fs::read_to_string(page()).unwrap();
        let from = text
            .find(&begin)
            .unwrap_or_else(|| panic!("docs/advice.md has no table {}", self.name));
        let to = from + text[from..].find(end).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(page(), format!("{}{table}{}", &text[..from], &text[to..])).unwrap();
            return;
        }
        for (is, should) in text[from..to].lines().zip(table.lines()) {
            assert_eq!(
                is, should,
                "the page is out of date, see tests/suite/advice/mod.rs"
            );
        }
        assert_eq!(text[from..to].lines().count(), table.lines().count());
    }
}

/// The port of a target on this host.
fn port(target: &str) -> Option<String> {
    let rest = &target[target.find("127.0.0.1:")? + "127.0.0.1:".len()..];
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits
        .parse::<u16>()
        .is_ok_and(|port| port > 1023)
        .then_some(digits)
}

#[test]
fn at_least_sixty_situations_have_advice() {
    let text = std::fs::read_to_string(page()).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ")).count();
    let heads = text
        .lines()
        .filter(|line| line.starts_with("| Situation"))
        .count();
    assert!(rows - heads >= 60, "{}", rows - heads);
}

/// A section per reason, each with what it means and a cause or a command, and no others.
#[test]
fn each_reason_is_explained() {
    let text = std::fs::read_to_string(page().with_file_name("failures.md")).unwrap();
    let sections: Vec<&str> = text.split("\n### ").skip(1).collect();
    let names: Vec<&str> = sections
        .iter()
        .map(|section| section.lines().next().unwrap())
        .collect();
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names, reasons);
    for section in sections {
        let name = section.lines().next().unwrap();
        assert!(section.lines().count() > 2, "{name}");
        assert!(
            name == "other" || section.contains("\n1. "),
            "{name} has no cause"
        );
    }
}
