//! `/playground` as a page: an editor with the places of problems marked, and what each expression and each step met. It works without
//! the script, which checks the text while somebody writes.

use std::fmt::Write as _;
use std::sync::Arc;

use askama::Template;
use http::StatusCode;
use http::header::{ACCEPT, HeaderMap};

use super::story::{self, Advice, HopView, LONG, Summary, TlsView};
use super::{LOG, around, html, with_headers};
use crate::config::Problem;
use crate::display::{passive, short};
use crate::logging::LogFormat;
use crate::module::draft::Draft;
use crate::prober::{Finding, Judged};
use crate::server::Exporter;
use crate::server::answer::{self, Response};
use crate::server::past::entry::Entry;
use crate::server::past::{debug, pieces};

/// Most modules that are offered.
const MODULES: usize = 200;
/// Lines of an editor: at least, and at most before it scrolls.
const ROWS: (usize, usize) = (8, 40);

/// What somebody wants to try.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct PlaygroundForm {
    /// The module that the text was made of.
    pub module: String,
    /// The configuration of one module.
    pub text: String,
    /// The target, decoded, what is not UTF-8 [carried](crate::carried).
    pub target: String,
    /// The `hostname` parameter.
    pub hostname: String,
}

/// What came of it.
#[derive(Debug)]
pub(in crate::server) enum Tried {
    /// The text was checked.
    Checked,
    /// There is no text, because there is no module of the name.
    Unknown,
    /// It was probed.
    Probed(Arc<Entry>),
    /// It was not probed, for this reason.
    Refused(String),
}

#[derive(Template)]
#[template(path = "playground.html")]
struct Page {
    modules: Vec<String>,
    module: String,
    target: String,
    hostname: String,
    text: String,
    mirror: String,
    rows: usize,
    verdict: String,
    is_good: bool,
    problems: Vec<ProblemView>,
    is_unknown: bool,
    refusal: Option<String>,
    result: Option<ResultView>,
}

/// One thing that is wrong, as `check-config` says it.
struct ProblemView {
    kind: &'static str,
    class: &'static str,
    place: Option<(usize, usize)>,
    message: String,
    help: Option<String>,
}

/// The probe.
struct ResultView {
    probe: Summary,
    reason: Option<String>,
    advice: Option<Advice>,
    findings: Vec<FindingView>,
    left_out: usize,
    legend: Vec<(&'static str, &'static str)>,
    hops: Vec<HopView>,
    tls: Vec<TlsView>,
    metrics: String,
}

/// What one expression or one step met.
struct FindingView {
    setting: String,
    expression: String,
    word: &'static str,
    class: &'static str,
    details: Vec<(String, String)>,
}

/// The page of a draft.
pub(in crate::server) fn page(
    exporter: &Exporter,
    form: &PlaygroundForm,
    draft: &Draft,
    tried: Tried,
) -> Response {
    let serving = exporter.store.current();
    let problems = problem_views(draft);
    let is_unknown = matches!(tried, Tried::Unknown);
    let (entry, refusal) = match tried {
        Tried::Checked | Tried::Unknown => (None, None),
        Tried::Refused(why) => (None, Some(why)),
        Tried::Probed(entry) => (Some(entry), None),
    };
    let lines = form.text.lines().count();
    let page = Page {
        modules: serving.config.modules.keys().take(MODULES).cloned().collect(),
        module: short(&form.module, LONG),
        target: short(&form.target, 4 * LONG),
        hostname: short(&form.hostname, LONG),
        mirror: mirror(&form.text, &problems),
        text: passive(&form.text),
        rows: lines.clamp(ROWS.0, ROWS.1) + 1,
        verdict: verdict(draft),
        is_good: draft.problems.is_empty(),
        problems,
        is_unknown,
        refusal,
        result: entry.as_ref().map(ResultView::new),
    };
    let Some(entry) = entry else {
        return html(StatusCode::OK, &page);
    };
    let log = pieces::log(entry, LogFormat::Logfmt).map(|lines| answer::escape_html(&lines));
    around(&page, LOG, log)
}

/// Whether a client wants the problems of a text alone, as the script of the page does.
pub fn wants_problems(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .is_some_and(|accept| accept == "application/json")
}

/// The problems of a text for the script.
pub fn problems(draft: &Draft) -> Response {
    let problems: Vec<_> = problem_views(draft)
        .into_iter()
        .map(|problem| {
            serde_json::json!({
                "kind": problem.kind,
                "line": problem.place.map(|(line, _)| line),
                "column": problem.place.map(|(_, column)| column),
                "message": problem.message,
                "help": problem.help,
            })
        })
        .collect();
    let body = serde_json::json!({"verdict": verdict(draft), "problems": problems});
    let response = answer::text(StatusCode::OK, "application/json", body.to_string());
    with_headers(response, "no-store")
}

fn problem_views(draft: &Draft) -> Vec<ProblemView> {
    let view = |kind: &'static str, class: &'static str, problem: &Problem| {
        let said = Problem {
            at: None,
            help: None,
            ..problem.clone()
        };
        ProblemView {
            kind,
            class,
            place: problem.at.map(|at| (at.line, at.column)),
            message: short(&said.to_string(), LONG),
            help: problem.help.as_deref().map(|help| short(help, LONG)),
        }
    };
    let errors = draft.problems.iter().map(|problem| view("error", "bad", problem));
    let warnings = draft
        .warnings
        .iter()
        .map(|problem| view("warning", "warn", problem));
    errors.chain(warnings).collect()
}

/// In a few words.
fn verdict(draft: &Draft) -> String {
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    if !draft.problems.is_empty() {
        parts.push(counted(draft.problems.len(), "error"));
    }
    if !draft.warnings.is_empty() {
        parts.push(counted(draft.warnings.len(), "warning"));
    }
    match parts.as_slice() {
        [] => "No problems".to_owned(),
        parts => parts.join(", "),
    }
}

/// The text once more, to lie behind the editor with its problems marked; the script does the same.
fn mirror(text: &str, problems: &[ProblemView]) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for (index, line) in text.split('\n').enumerate() {
        let here = problems
            .iter()
            .filter_map(|problem| Some((problem.place?, problem.class)))
            .filter(|((at, _), _)| *at == index + 1)
            .map(|((_, column), class)| (column - 1, class))
            .min_by_key(|(column, _)| *column);
        let line = passive(line);
        let Some((column, class)) = here else {
            let _ = writeln!(out, "{}", answer::escape_html(&line));
            continue;
        };
        let at = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        let (before, rest) = line.split_at(at);
        let end = rest
            .char_indices()
            .skip(1)
            .find(|(_, c)| c.is_whitespace() || matches!(c, ':' | ',' | ']' | '}'))
            .map_or(rest.len(), |(end, _)| end);
        let (marked, after) = rest.split_at(end);
        let marked = if marked.is_empty() { " " } else { marked };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{}<mark class=\"{class}\">{}</mark>{}",
            answer::escape_html(before),
            answer::escape_html(marked),
            answer::escape_html(after)
        );
    }
    out
}

impl ResultView {
    fn new(entry: &Arc<Entry>) -> Self {
        let outcome = &entry.outcome;
        let findings = outcome.findings.as_deref();
        Self {
            probe: Summary::new(entry, LONG),
            reason: outcome.reason().map(|reason| short(&reason, LONG)),
            advice: Advice::new(outcome),
            findings: findings
                .map(|findings| findings.list().iter().map(FindingView::new).collect())
                .unwrap_or_default(),
            left_out: findings.map_or(0, crate::prober::Findings::left_out),
            legend: story::legend(std::iter::once(outcome)),
            hops: story::hops(outcome),
            tls: story::handshakes(outcome),
            metrics: debug::metrics_text(entry),
        }
    }
}

impl FindingView {
    fn new(finding: &Finding) -> Self {
        let (word, class) = match finding.verdict {
            Judged::Passed => ("Passed", "good"),
            Judged::Failed => ("Failed", "bad"),
            Judged::NotJudged => ("Not judged", "quiet"),
        };
        Self {
            setting: finding.setting.clone(),
            expression: finding.expression.clone(),
            word,
            class,
            details: finding.details.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::draft;

    #[test]
    fn problems_are_marked_where_they_stand() {
        let text = "modules:\n  m:\n    prober: http\n    http: {metod: '<GET>'}\n";
        let draft = draft::read(text, false);
        let mirror = mirror(text, &problem_views(&draft));
        assert_eq!(
            mirror.lines().nth(3),
            Some("    http: {<mark class=\"bad\">metod</mark>: &#39;&lt;GET&gt;&#39;}")
        );
        assert_eq!(verdict(&draft), "1 error");
    }
}
