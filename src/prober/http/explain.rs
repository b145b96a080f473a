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

/// An answer whose body was read.
pub(super) struct Answered<'a> {
    pub status: u16,
    pub protocol: &'a str,
    pub headers: &'a Headers,
    /// The beginning of the body.
    pub body: Bytes,
    /// Whether the body has more.
    pub is_cut: bool,
    /// Whether the module accepts `protocol`.
    pub version_passes: bool,
}

/// Tells what the checks met, whose verdicts are those of the judgement.
pub(super) async fn explain(
    findings: &mut Findings,
    module: &Http,
    answer: Answered<'_>,
    deadline: Deadline,
) {
    status(findings, module, answer.status);
    for (list, rules) in [
        ("fail_if_header_matches", &module.headers_unwanted),
        ("fail_if_header_not_matches", &module.headers_wanted),
    ] {
        for (index, rule) in rules.iter().enumerate() {
            let setting = format!("http.{list}[{index}]");
            let verdict = findings.verdict();
            let finding = header(setting, rule, verdict, answer.headers, deadline).await;
            findings.push(finding);
        }
    }
    let body = answer.body;
    let beginning = answer
        .is_cut
        .then(|| format!("the first {} bytes of the body", body.len()));
    for (list, regexps, wanted) in [
        ("fail_if_body_matches_regexp", &module.body_unwanted, false),
        ("fail_if_body_not_matches_regexp", &module.body_wanted, true),
    ] {
        for (index, regexp) in regexps.iter().enumerate() {
            let mut finding = Finding::new(
                format!("http.{list}[{index}]"),
                regexp.source(),
                findings.verdict(),
            );
            in_body(&mut finding, regexp, wanted, &body, deadline).await;
            if let Some(beginning) = &beginning {
                finding.add_text("Looked at", beginning);
            }
            findings.push(finding);
        }
    }
    for (setting, cel) in [
        ("http.fail_if_body_json_matches_cel", &module.cel_unwanted),
        ("http.fail_if_body_json_not_matches_cel", &module.cel_wanted),
    ] {
        let Some(cel) = cel else { continue };
        let mut finding = Finding::new(setting, cel.source(), findings.verdict());
        match &beginning {
            Some(beginning) => finding.add_text("Not evaluated", &format!("only {beginning} were read")),
            None => in_json(&mut finding, cel, &body, deadline).await,
        }
        findings.push(finding);
    }
    let versions = &module.valid_http_versions;
    if !versions.is_empty() {
        let mut finding = Finding::new(
            "http.valid_http_versions",
            &versions.join(", "),
            Judged::of(answer.version_passes),
        );
        finding.add_text("Received", answer.protocol);
        findings.push(finding);
    }
}

/// Tells whether the last response came over TLS, where a setting asks for one or the other. `passes` says what became of all checks before:
/// only `fail_if_ssl` is judged whatever that is.
pub(super) fn encryption(findings: &mut Findings, module: &Http, is_tls: bool, passes: bool) {
    let present = Judged::of(!is_tls);
    let absent = match (is_tls, passes) {
        (true, _) => Judged::Passed,
        (false, true) => Judged::Failed,
        (false, false) => Judged::NotJudged,
    };
    for (setting, is_set, verdict) in [
        ("http.fail_if_ssl", module.fail_if_ssl, present),
        ("http.fail_if_not_ssl", module.fail_if_not_ssl, absent),
    ] {
        if is_set {
            let mut finding = Finding::new(setting, "", verdict);
            finding.add_text("Received", if is_tls { "with TLS" } else { "without TLS" });
            findings.push(finding);
        }
    }
}

fn status(findings: &mut Findings, module: &Http, status: u16) {
    let valid: Vec<String> = module
        .valid_status_codes
        .iter()
        .map(ToString::to_string)
        .collect();
    let expression = if valid.is_empty() {
        "2xx".to_owned()
    } else {
        valid.join(", ")
    };
    let mut finding = Finding::new("http.valid_status_codes", &expression, findings.verdict());
    finding.add_text("Received", &status.to_string());
    findings.push(finding);
}

async fn header(
    setting: String,
    rule: &HeaderRule,
    verdict: Judged,
    headers: &Headers,
    deadline: Deadline,
) -> Finding {
    let expression = format!("{}: {}", rule.header, rule.regexp.source());
    let mut finding = Finding::new(setting, &expression, verdict);
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

/// Tells where an expression matches. Whether it does is known, unless it was not judged.
async fn in_body(finding: &mut Finding, regexp: &Regexp, wanted: bool, body: &Bytes, deadline: Deadline) {
    let matches = match finding.verdict {
        Judged::Passed => Some(wanted),
        Judged::Failed => Some(!wanted),
        Judged::NotJudged => None,
    };
    let begin = body.slice(..body.len().min(SEARCHED));
    let found = match matches {
        // The end of what is searched is not that of the body.
        Some(false) => return finding.add_nearest(regexp, &begin),
        _ => regexp.captures_within(&begin, deadline).await,
    };
    let is_beyond = begin.len() < body.len();
    match found {
        Ok(Some(found)) => finding.add_match(regexp, &found),
        Ok(None) if matches == Some(true) || is_beyond && matches_within(regexp, body, deadline).await => {
            finding.add_text("Matched", "behind the first 64 KiB");
        }
        Ok(None) => finding.add_nearest(regexp, &begin),
        Err(timed_out) => finding.add_text("Not searched", &timed_out.to_string()),
    }
}

async fn matches_within(regexp: &Regexp, body: &Bytes, deadline: Deadline) -> bool {
    deadline
        .within(regexp.matches(body))
        .await
        .is_ok_and(|matches| matches)
}

async fn in_json(finding: &mut Finding, cel: &Cel, body: &Bytes, deadline: Deadline) {
    let explained = cel::explain(body.clone(), cel, deadline).await;
    finding.add_text("Value", &explained.value);
    for part in &explained.parts {
        finding.add_text(part.text.clone(), &part.value);
    }
}
