//! What each expression over the records of an answer matched, for an explanation.

use bytes::Bytes;
use miekg_dns::{Message, Record};

use super::validate::Verdicts;
use crate::config::dns_names::rcode_name;
use crate::module::{Dns, Pattern};
use crate::net::Deadline;
use crate::prober::findings::{Finding, Findings, Judged};

/// Most records that are looked at.
const RECORDS: usize = 10;

/// Tells what the response code and the records of all sections come to, and how they were judged.
pub(super) async fn explain(
    findings: &mut Findings,
    module: &Dns,
    answer: &Message,
    verdicts: &Verdicts<'_>,
    deadline: Deadline,
) {
    let valid = match &module.valid_rcodes {
        Some(names) => names.clone(),
        None => vec!["NOERROR".to_owned()],
    };
    let rcode = rcode_name(answer.rcode).unwrap_or("unknown");
    let mut finding = Finding::new("dns.valid_rcodes", &valid.join(", "), Judged::of(verdicts.rcode));
    finding.add_text("Received", rcode);
    findings.push(finding);
    for (section, validator, records) in [
        ("answer", &module.validate_answer, &answer.answer),
        ("authority", &module.validate_authority, &answer.authority),
        ("additional", &module.validate_additional, &answer.additional),
    ] {
        for (list, patterns) in [
            ("fail_if_matches_regexp", &validator.fail_if_matches),
            ("fail_if_all_match_regexp", &validator.fail_if_all_match),
            ("fail_if_not_matches_regexp", &validator.fail_if_not_matches),
            ("fail_if_none_matches_regexp", &validator.fail_if_none_matches),
        ] {
            for (index, pattern) in patterns.iter().enumerate() {
                let setting = format!("dns.validate_{section}_rrs.{list}[{index}]");
                let mut finding = Finding::new(setting, &pattern.source, verdicts.of(pattern));
                look(&mut finding, pattern, records, deadline).await;
                findings.push(finding);
            }
        }
    }
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
