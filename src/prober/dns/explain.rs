//! What each expression over the records of an answer matched, for an explanation.

use bytes::Bytes;
use miekg_dns::{Message, Record};

use super::validate::valid_rcodes;
use crate::config::dns_names::rcode_name;
use crate::module::{Dns, Pattern, RrValidator};
use crate::net::Deadline;
use crate::prober::findings::{Finding, Findings, Judged};

/// Most records that are looked at.
const RECORDS: usize = 10;

/// What makes a list of expressions pass.
#[derive(Clone, Copy)]
enum Wanted {
    /// No expression matches any record.
    None,
    /// Every expression matches every record, if there is one.
    All,
    /// The same, and there is one.
    AllOfSome,
    /// One expression matches one record.
    Any,
}

/// Tells what the response code and the records of all sections come to.
pub(super) async fn explain(findings: &mut Findings, module: &Dns, answer: &Message, deadline: Deadline) {
    let valid = match &module.valid_rcodes {
        Some(names) => names.clone(),
        None => vec!["NOERROR".to_owned()],
    };
    let rcode = rcode_name(answer.rcode).unwrap_or("unknown");
    let numbers = valid_rcodes(module.valid_rcodes.as_deref());
    let passes = numbers.is_ok_and(|numbers| numbers.contains(&answer.rcode));
    let mut finding = Finding::new("dns.valid_rcodes", &valid.join(", "), Judged::of(passes));
    finding.add_text("Received", rcode);
    findings.push(finding);
    for (section, validator, records) in [
        ("answer", &module.validate_answer, &answer.answer),
        ("authority", &module.validate_authority, &answer.authority),
        ("additional", &module.validate_additional, &answer.additional),
    ] {
        for (list, patterns, wanted) in lists(validator) {
            let setting = format!("dns.validate_{section}_rrs.{list}");
            explain_list(findings, &setting, patterns, wanted, records, deadline).await;
        }
    }
}

/// The lists of a validator; the second one passes as upstream has it, and not as it is called.
fn lists(validator: &RrValidator) -> [(&'static str, &[Pattern], Wanted); 4] {
    [
        ("fail_if_matches_regexp", &validator.fail_if_matches, Wanted::None),
        (
            "fail_if_all_match_regexp",
            &validator.fail_if_all_match,
            Wanted::All,
        ),
        (
            "fail_if_not_matches_regexp",
            &validator.fail_if_not_matches,
            Wanted::AllOfSome,
        ),
        (
            "fail_if_none_matches_regexp",
            &validator.fail_if_none_matches,
            Wanted::Any,
        ),
    ]
}

async fn explain_list(
    findings: &mut Findings,
    setting: &str,
    patterns: &[Pattern],
    wanted: Wanted,
    records: &[Record],
    deadline: Deadline,
) {
    let mut found = Vec::with_capacity(patterns.len());
    let mut any = false;
    for (index, pattern) in patterns.iter().enumerate() {
        let mut finding = Finding::new(format!("{setting}[{index}]"), &pattern.source, Judged::Failed);
        let mut matched = 0;
        for record in records.iter().take(RECORDS) {
            let text = Bytes::copy_from_slice(&record.text);
            finding.add("Record", &record.text);
            match &pattern.compiled {
                Ok(regexp) => matched += usize::from(finding.look(regexp, &text, deadline).await),
                Err(error) => finding.add_text("Error", &error.to_string()),
            }
        }
        if records.is_empty() {
            finding.add_text("No records", "the section is empty");
        }
        if records.len() > RECORDS {
            finding.add_text("Looked at", &format!("{RECORDS} of {} records", records.len()));
        }
        // The rest counts, too.
        let beyond = records.iter().skip(RECORDS).filter(|record| {
            let compiled = pattern.compiled.as_ref();
            compiled.is_ok_and(|regexp| regexp.is_match(&record.text))
        });
        matched += beyond.count();
        any |= matched > 0;
        finding.verdict = Judged::of(match wanted {
            Wanted::None => matched == 0,
            Wanted::All => matched == records.len(),
            Wanted::AllOfSome => matched > 0 && matched == records.len(),
            Wanted::Any => matched > 0,
        });
        found.push(finding);
    }
    for mut finding in found {
        if matches!(wanted, Wanted::Any) && any {
            finding.verdict = Judged::Passed;
        }
        findings.push(finding);
    }
}
