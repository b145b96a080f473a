//! What each check of an answer met, for an explanation: all of them, also those that an earlier failure left out.

use bytes::Bytes;

use crate::check::{Cel, Regexp, cel};
use crate::module::Http;
use crate::module::http::HeaderRule;
use crate::net::Deadline;
use crate::net::headers::Headers;
use crate::prober::findings::{Finding, Findings, Judged};

/// Most bytes of a body that are looked at, and most of them in which the place of a match is looked for: that takes long.
pub(super) const KEPT: usize = 1 << 20;
const SEARCHED: usize = 64 << 10;
/// Most values of a header that are looked at.
const VALUES: usize = 5;

/// Which checks were made.
#[derive(Clone, Copy)]
pub(super) struct Reached {
    pub headers: bool,
    pub body: bool,
    pub cel: bool,
}

/// An answer whose body was read.
pub(super) struct Answered<'a> {
    pub status: u16,
    pub protocol: &'a str,
    pub headers: &'a Headers,
    /// The beginning of the body.
    pub body: Bytes,
    /// Bytes of the whole body, as far as it was read.
    pub length: u64,
}

/// Tells what the checks met.
pub(super) async fn explain(
    findings: &mut Findings,
    module: &Http,
    answer: Answered<'_>,
    reached: Reached,
    deadline: Deadline,
) {
    status(findings, module, answer.status);
    for (list, rules, wanted) in [
        ("fail_if_header_matches", &module.headers_unwanted, false),
        ("fail_if_header_not_matches", &module.headers_wanted, true),
    ] {
        for (index, rule) in rules.iter().enumerate() {
            let setting = format!("http.{list}[{index}]");
            let finding = header(setting, rule, wanted, answer.headers, deadline).await;
            findings.push(judged(finding, reached.headers));
        }
    }
    let (body, length) = (answer.body, answer.length);
    let beginning = (length > body.len() as u64)
        .then(|| format!("the first {} of {length} bytes of the body", body.len()));
    for (list, regexps, wanted) in [
        ("fail_if_body_matches_regexp", &module.body_unwanted, false),
        ("fail_if_body_not_matches_regexp", &module.body_wanted, true),
    ] {
        for (index, regexp) in regexps.iter().enumerate() {
            let setting = format!("http.{list}[{index}]");
            let mut finding = of_body(setting, regexp, wanted, &body, deadline).await;
            if let Some(beginning) = &beginning {
                finding.add_text("Looked at", beginning);
            }
            findings.push(judged(finding, reached.body));
        }
    }
    for (setting, cel, wanted) in [
        ("http.fail_if_body_json_matches_cel", &module.cel_unwanted, false),
        ("http.fail_if_body_json_not_matches_cel", &module.cel_wanted, true),
    ] {
        if let Some(cel) = cel {
            let mut finding = of_json(setting, cel, wanted, &body, deadline).await;
            if let Some(beginning) = &beginning {
                finding.add_text("Looked at", beginning);
            }
            findings.push(judged(finding, reached.cel));
        }
    }
    let versions = &module.valid_http_versions;
    if !versions.is_empty() {
        let passes = versions.iter().any(|version| version == answer.protocol);
        let mut finding = Finding::new(
            "http.valid_http_versions",
            &versions.join(", "),
            Judged::of(passes),
        );
        finding.add_text("Received", answer.protocol);
        findings.push(finding);
    }
}

fn judged(mut finding: Finding, reached: bool) -> Finding {
    if !reached {
        finding.verdict = Judged::NotJudged;
    }
    finding
}

fn status(findings: &mut Findings, module: &Http, status: u16) {
    let valid = &module.valid_status_codes;
    let passes = module.accepts(status);
    let valid: Vec<String> = valid.iter().map(ToString::to_string).collect();
    let expression = if valid.is_empty() {
        "2xx".to_owned()
    } else {
        valid.join(", ")
    };
    let mut finding = Finding::new("http.valid_status_codes", &expression, Judged::of(passes));
    finding.add_text("Received", &status.to_string());
    findings.push(finding);
}

async fn header(
    setting: String,
    rule: &HeaderRule,
    wanted: bool,
    headers: &Headers,
    deadline: Deadline,
) -> Finding {
    let expression = format!("{}: {}", rule.header, rule.regexp.source());
    let passes = rule.passes(headers, wanted).await;
    let mut finding = Finding::new(setting, &expression, Judged::of(passes));
    if !headers.contains(&rule.name) {
        finding.add_text("No such header", "the response does not have it");
    }
    for value in headers.values(&rule.name).take(VALUES) {
        let value = Bytes::copy_from_slice(value);
        finding.add("Value", &value);
        finding.look(&rule.regexp, &value, deadline).await;
    }
    finding
}

async fn of_body(
    setting: String,
    regexp: &Regexp,
    wanted: bool,
    body: &Bytes,
    deadline: Deadline,
) -> Finding {
    let mut finding = Finding::new(setting, regexp.source(), Judged::Failed);
    let begin = body.slice(..body.len().min(SEARCHED));
    let matched = finding.look(regexp, &begin, deadline).await || {
        let is_beyond = begin.len() < body.len() && regexp.matches(body).await;
        if is_beyond {
            finding.add_text("Matched", "behind the first 64 KiB");
        }
        is_beyond
    };
    finding.verdict = Judged::of(matched == wanted);
    finding
}

async fn of_json(setting: &str, cel: &Cel, wanted: bool, body: &Bytes, deadline: Deadline) -> Finding {
    let explained = cel::explain(body.clone(), cel, deadline).await;
    let passes = explained.truth == Some(wanted);
    let mut finding = Finding::new(setting, cel.source(), Judged::of(passes));
    finding.add_text("Value", &explained.value);
    for part in &explained.parts {
        finding.add_text(part.text.clone(), &part.value);
    }
    finding
}
