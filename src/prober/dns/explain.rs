//! What each expression over the records of an answer matched, for an explanation.

use bytes::Bytes;
use miekg_dns::{Message, Record};

use super::validate;
use crate::config::dns_names::rcode_name;
use crate::module::{Dns, Pattern, RrValidator};
use crate::net::Deadline;
use crate::probe_log::ProbeLog;
use crate::prober::findings::{Finding, Findings, Judged};

/// Most records that are looked at.
const RECORDS: usize = 10;

/// Tells what the response code and the records of all sections come to.
pub(super) async fn explain(findings: &mut Findings, module: &Dns, answer: &Message, deadline: Deadline) {
    let valid = match &module.valid_rcodes {
        Some(names) => names.clone(),
        None => vec!["NOERROR".to_owned()],
    };
    let rcode = rcode_name(answer.rcode).unwrap_or("unknown");
    let rcodes = module.valid_rcodes.as_deref();
    let passes = validate::rcode(answer.rcode, rcodes, &mut ProbeLog::default()).is_ok();
    let mut finding = Finding::new("dns.valid_rcodes", &valid.join(", "), Judged::of(passes));
    finding.add_text("Received", rcode);
    findings.push(finding);
    for (section, validator, records) in [
        ("answer", &module.validate_answer, &answer.answer),
        ("authority", &module.validate_authority, &answer.authority),
        ("additional", &module.validate_additional, &answer.additional),
    ] {
        for (list, patterns, alone) in lists(validator) {
            // Of the last list one expression is enough: they pass together.
            let together = if list == NONE_MATCHES {
                patterns.len().max(1)
            } else {
                1
            };
            let mut numbers = 0..patterns.len();
            for judged in patterns.chunks(together) {
                let validator = alone(judged.to_vec());
                let passes = validate::records(records, &validator, &mut ProbeLog::default())
                    .await
                    .is_ok();
                for (pattern, index) in judged.iter().zip(numbers.by_ref()) {
                    let setting = format!("dns.validate_{section}_rrs.{list}[{index}]");
                    let mut finding = Finding::new(setting, &pattern.source, Judged::of(passes));
                    look(&mut finding, pattern, records, deadline).await;
                    findings.push(finding);
                }
            }
        }
    }
}

/// The last list of a validator.
const NONE_MATCHES: &str = "fail_if_none_matches_regexp";

/// A validator with nothing but one list.
type Alone = fn(Vec<Pattern>) -> RrValidator;

/// The lists of a validator.
#[rustfmt::skip]
fn lists(validator: &RrValidator) -> [(&'static str, &[Pattern], Alone); 4] {
    [
        ("fail_if_matches_regexp", &validator.fail_if_matches, |list| RrValidator { fail_if_matches: list, ..RrValidator::default() }),
        ("fail_if_all_match_regexp", &validator.fail_if_all_match, |list| RrValidator { fail_if_all_match: list, ..RrValidator::default() }),
        ("fail_if_not_matches_regexp", &validator.fail_if_not_matches, |list| RrValidator { fail_if_not_matches: list, ..RrValidator::default() }),
        (NONE_MATCHES, &validator.fail_if_none_matches, |list| RrValidator { fail_if_none_matches: list, ..RrValidator::default() }),
    ]
}

/// Tells what an expression met in each record.
async fn look(finding: &mut Finding, pattern: &Pattern, records: &[Record], deadline: Deadline) {
    for record in records.iter().take(RECORDS) {
        finding.add("Record", &record.text);
        match &pattern.compiled {
            Ok(regexp) => {
                let text = Bytes::copy_from_slice(&record.text);
                finding.look(regexp, &text, deadline).await;
            }
            Err(error) => finding.add_text("Error", &error.to_string()),
        }
    }
    if records.is_empty() {
        finding.add_text("No records", "the section is empty");
    }
    if records.len() > RECORDS {
        finding.add_text("Looked at", &format!("{RECORDS} of {} records", records.len()));
    }
}
