//! Judging an answer: its response code, and its records by regular expressions.

use miekg_dns::{Message, Record};

use crate::config::dns_names::{rcode_name, rcode_number, rcodes};
use crate::log;
use crate::module::{Dns, Pattern, RrValidator};
use crate::probe_log::{EXCERPT, ProbeLog, Value, excerpt, text};
use crate::reason::Reason;

/// After how many records other tasks have their turn: an answer may have thousands, and each is matched often.
const TURN: usize = 16;

/// Judges the answer as the module says; the reason of a failure is in the log.
///
/// # Errors
/// The response code is none of the valid ones, or a section does not pass.
pub async fn answer(answer: &Message, module: &Dns, log: &mut ProbeLog) -> Result<(), Reason> {
    rcode(answer.rcode, module.valid_rcodes.as_deref(), log)?;
    log!(log, Debug, "Validating Answer RRs");
    if let Err(reason) = records(&answer.answer, &module.validate_answer, log).await {
        log!(log, Error, "Answer RRs validation failed");
        return Err(reason);
    }
    log!(log, Debug, "Validating Authority RRs");
    if let Err(reason) = records(&answer.authority, &module.validate_authority, log).await {
        log!(log, Error, "Authority RRs validation failed");
        return Err(reason);
    }
    log!(log, Debug, "Validating Additional RRs");
    if let Err(reason) = records(&answer.additional, &module.validate_additional, log).await {
        log!(log, Error, "Additional RRs validation failed");
        return Err(reason);
    }
    Ok(())
}

/// Without a list only NOERROR is valid. A name that nobody knows spoils the list, but only here: such a configuration
/// loads.
fn rcode(rcode: u16, valid: Option<&[String]>, log: &mut ProbeLog) -> Result<(), Reason> {
    let mut numbers = Vec::new();
    match valid {
        None => numbers.push(0),
        Some(names) => {
            for name in names {
                let Some(number) = rcode_number(name) else {
                    let known: Vec<_> = rcodes()
                        .map(|(number, name)| format!("{number}:{name}"))
                        .collect();
                    log!(log, Error, "Invalid rcode", "rcode" => name.clone(), "known_rcode" => format!("map[{}]", known.join(" ")));
                    return Err(Reason::ConfigError);
                };
                numbers.push(number);
            }
        }
    }
    let name = rcode_name(rcode).unwrap_or("");
    if numbers.contains(&rcode) {
        log!(log, Debug, "Rcode is valid", "rcode" => rcode, "string_rcode" => name);
        return Ok(());
    }
    let numbers: Vec<_> = numbers.iter().map(u16::to_string).collect();
    log!(log, Error, "Rcode is not one of the valid rcodes", "rcode" => rcode, "string_rcode" => name, "valid_rcodes" => format!("[{}]", numbers.join(" ")));
    Err(Reason::DnsRcode)
}

async fn records(records: &[Record], validator: &RrValidator, log: &mut ProbeLog) -> Result<(), Reason> {
    if records.is_empty() && !validator.fail_if_not_matches.is_empty() {
        log!(
            log,
            Error,
            "fail_if_not_matches_regexp specified but no RRs returned"
        );
        return Err(Reason::DnsRecords);
    }
    if records.is_empty() && !validator.fail_if_none_matches.is_empty() {
        log!(
            log,
            Error,
            "fail_if_none_matches_regexp specified but no RRs returned"
        );
        return Err(Reason::DnsRecords);
    }
    let (mut all_match, mut any_match) = (true, false);
    for (index, record) in records.iter().enumerate() {
        if index % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        log!(log, Debug, "Validating RR", "rr" => shown(record));
        for pattern in &validator.fail_if_matches {
            if matches(pattern, record, log)? {
                log!(log, Error, "At least one RR matched regexp", "regexp" => pattern.source.clone(), "rr" => shown(record));
                return Err(Reason::DnsRecords);
            }
        }
        for pattern in &validator.fail_if_all_match {
            all_match &= matches(pattern, record, log)?;
        }
        for pattern in &validator.fail_if_not_matches {
            if !matches(pattern, record, log)? {
                log!(log, Error, "At least one RR did not match regexp", "regexp" => pattern.source.clone(), "rr" => shown(record));
                return Err(Reason::DnsRecords);
            }
        }
        for pattern in &validator.fail_if_none_matches {
            any_match |= matches(pattern, record, log)?;
        }
    }
    // The name says otherwise, but this is what upstream does: it fails unless every record matches.
    if !validator.fail_if_all_match.is_empty() && !all_match {
        log!(log, Error, "Not all RRs matched regexp");
        return Err(Reason::DnsRecords);
    }
    if !validator.fail_if_none_matches.is_empty() && !any_match {
        log!(log, Error, "None of the RRs did matched any regexp");
        return Err(Reason::DnsRecords);
    }
    Ok(())
}

/// An expression that does not compile fails the first record it is asked about, not the configuration.
fn matches(pattern: &Pattern, record: &Record, log: &mut ProbeLog) -> Result<bool, Reason> {
    match &pattern.compiled {
        Ok(regexp) => Ok(regexp.is_match(&record.text)),
        Err(error) => {
            log!(log, Error, "Error matching regexp", "regexp" => pattern.source.clone(), "err" => text(error));
            Err(Reason::ConfigError)
        }
    }
}

fn shown(record: &Record) -> Value {
    excerpt(&record.text, EXCERPT)
}
