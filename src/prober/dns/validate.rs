//! Judging an answer: its response code, and its records by regular expressions.

use std::{fmt, slice};

use miekg_dns::{Message, Record};

use crate::config::dns_names::{rcode_name, rcode_number, rcodes};
use crate::log;
use crate::module::{Pattern, RrValidator};
use crate::probe_log::{EXCERPT, LogValue, ProbeLog, excerpt, text};
use crate::prober::advice::dns::Asked;
use crate::prober::{Facts, Judged, advice};
use crate::reason::Reason;

/// After how many bytes of records other tasks have their turn: an answer may have thousands of records, and one that lists all types
/// has half a million bytes.
const TURN: usize = 16 << 10;
/// As how many bytes a short record counts.
const RECORD: usize = 256;

/// What was judged of an answer.
#[derive(Default)]
pub(super) struct Verdicts<'a> {
    /// Whether the response code is valid.
    pub rcode: bool,
    /// Expressions that were judged to the end.
    expressions: Vec<(&'a Pattern, bool)>,
}

impl<'a> Verdicts<'a> {
    fn push(&mut self, patterns: &'a [Pattern], passes: bool) {
        self.expressions
            .extend(patterns.iter().map(|pattern| (pattern, passes)));
    }

    /// That of an expression, which is one of the module's.
    pub fn of(&self, pattern: &Pattern) -> Judged {
        let judged = self.expressions.iter();
        let mut judged = judged.filter(|(one, _)| std::ptr::eq(*one, pattern));
        judged
            .next()
            .map_or(Judged::NotJudged, |(_, passes)| Judged::of(*passes))
    }
}

/// Judges the answer as the module says; the reason of a failure is in the log. What was judged is kept in `verdicts`, if somebody wants
/// to know.
///
/// # Errors
/// The response code is none of the valid ones, or a section does not pass.
pub(super) async fn answer<'a>(
    answer: &'a Message,
    asked: &Asked<'a>,
    log: &mut ProbeLog,
    facts: &mut Facts,
    mut verdicts: Option<&mut Verdicts<'a>>,
) -> Result<(), Reason> {
    let module = asked.module;
    if let Err(reason) = rcode(answer.rcode, module.valid_rcodes.as_deref(), log) {
        facts.set(advice::dns::rcode(answer, asked));
        return Err(reason);
    }
    if let Some(verdicts) = &mut verdicts {
        verdicts.rcode = true;
    }
    #[rustfmt::skip]
    let sections = [
        ("answer", &answer.answer, &module.validate_answer, "Validating Answer RRs", "Answer RRs validation failed"),
        ("authority", &answer.authority, &module.validate_authority, "Validating Authority RRs", "Authority RRs validation failed"),
        ("additional", &answer.additional, &module.validate_additional, "Validating Additional RRs", "Additional RRs validation failed"),
    ];
    for (section, rrs, validator, begins, failed) in sections {
        log!(log, Debug, begins);
        if let Err(wrong) = records(rrs, validator, log, verdicts.as_deref_mut()).await {
            facts.set(wrong.advice(asked, section));
            if let Some(verdicts) = verdicts {
                verdicts.push(wrong.patterns(), false);
            }
            log!(log, Error, failed, "err" => wrong.to_string());
            return Err(wrong.reason());
        }
    }
    Ok(())
}

/// The valid response codes: without a list only NOERROR. A name that nobody knows spoils the list, but only here: such a
/// configuration loads.
///
/// # Errors
/// That name.
fn valid_rcodes(valid: Option<&[String]>) -> Result<Vec<u16>, &str> {
    let Some(names) = valid else {
        return Ok(vec![0]);
    };
    names
        .iter()
        .map(|name| rcode_number(name).ok_or(name.as_str()))
        .collect()
}

/// Judges the response code.
///
/// # Errors
/// It is none of the valid ones, or they are not known, which was logged.
fn rcode(rcode: u16, valid: Option<&[String]>, log: &mut ProbeLog) -> Result<(), Reason> {
    let numbers = match valid_rcodes(valid) {
        Ok(numbers) => numbers,
        Err(name) => {
            let known: Vec<_> = rcodes()
                .map(|(number, name)| format!("{number}:{name}"))
                .collect();
            log!(log, Error, "Invalid rcode", "rcode" => name.to_owned(), "known_rcode" => format!("map[{}]", known.join(" ")));
            return Err(Reason::ConfigError);
        }
    };
    let name = rcode_name(rcode).unwrap_or("");
    if numbers.contains(&rcode) {
        log!(log, Debug, "Rcode is valid", "rcode" => rcode, "string_rcode" => name);
        return Ok(());
    }
    let numbers: Vec<_> = numbers.iter().map(u16::to_string).collect();
    log!(log, Error, "Rcode is not one of the valid rcodes", "rcode" => rcode, "string_rcode" => name, "valid_rcodes" => format!("[{}]", numbers.join(" ")));
    Err(Reason::DnsRcode)
}

/// Judges the records of a section.
///
/// # Errors
/// Why they do not pass, after it was logged.
async fn records<'a>(
    records: &'a [Record],
    validator: &'a RrValidator,
    log: &mut ProbeLog,
    mut verdicts: Option<&mut Verdicts<'a>>,
) -> Result<(), Wrong<'a>> {
    let mut judged = |patterns, passes| {
        if let Some(verdicts) = &mut verdicts {
            verdicts.push(patterns, passes);
        }
    };
    if records.is_empty() && !validator.fail_if_not_matches.is_empty() {
        log!(
            log,
            Error,
            "fail_if_not_matches_regexp specified but no RRs returned"
        );
        return Err(Wrong::NoRecords(&validator.fail_if_not_matches));
    }
    if records.is_empty() && !validator.fail_if_none_matches.is_empty() {
        log!(
            log,
            Error,
            "fail_if_none_matches_regexp specified but no RRs returned"
        );
        return Err(Wrong::NoRecords(&validator.fail_if_none_matches));
    }
    let (mut unmatched, mut any_match, mut looked_at) = (None, false, 0);
    let mut all_match = vec![true; validator.fail_if_all_match.len()];
    if records.is_empty() {
        judged(&validator.fail_if_matches, true);
    }
    for (left, record) in (0..records.len()).rev().zip(records) {
        take_turns(&mut looked_at, record).await;
        log!(log, Debug, "Validating RR", "rr" => shown(record));
        for pattern in &validator.fail_if_matches {
            if matches(pattern, record, log, &mut looked_at).await? {
                log!(log, Error, "At least one RR matched regexp", "regexp" => pattern.source.clone(), "rr" => shown(record));
                return Err(Wrong::Matched(pattern, record));
            }
            if left == 0 {
                judged(slice::from_ref(pattern), true);
            }
        }
        for (pattern, all_match) in validator.fail_if_all_match.iter().zip(&mut all_match) {
            if !matches(pattern, record, log, &mut looked_at).await? {
                *all_match = false;
                unmatched.get_or_insert(Wrong::Unmatched(pattern, record));
            }
        }
        for pattern in &validator.fail_if_not_matches {
            if !matches(pattern, record, log, &mut looked_at).await? {
                log!(log, Error, "At least one RR did not match regexp", "regexp" => pattern.source.clone(), "rr" => shown(record));
                return Err(Wrong::Unmatched(pattern, record));
            }
            if left == 0 {
                judged(slice::from_ref(pattern), true);
            }
        }
        for pattern in &validator.fail_if_none_matches {
            any_match |= matches(pattern, record, log, &mut looked_at).await?;
        }
    }
    for (pattern, all_match) in validator.fail_if_all_match.iter().zip(all_match) {
        judged(slice::from_ref(pattern), all_match);
    }
    // The name says otherwise, but this is what upstream does: it fails unless every record matches.
    if let Some(unmatched) = unmatched {
        log!(log, Error, "Not all RRs matched regexp");
        return Err(unmatched);
    }
    if !validator.fail_if_none_matches.is_empty() && !any_match {
        log!(log, Error, "None of the RRs did matched any regexp");
        return Err(Wrong::None(&validator.fail_if_none_matches, records.first()));
    }
    judged(&validator.fail_if_none_matches, true);
    Ok(())
}

/// Why the records of a section do not pass.
enum Wrong<'a> {
    /// There are none for these.
    NoRecords(&'a [Pattern]),
    /// A record matches what none may match.
    Matched(&'a Pattern, &'a Record),
    /// A record does not match what all must match.
    Unmatched(&'a Pattern, &'a Record),
    /// No record matches any of these.
    None(&'a [Pattern], Option<&'a Record>),
    /// An expression does not compile, which is in the log.
    Expression(&'a Pattern),
}

impl fmt::Display for Wrong<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |record: &Record| advice::quoted(&record.text);
        match self {
            Self::NoRecords(_) => f.write_str("there are no records"),
            Self::Matched(pattern, record) => {
                write!(f, "the record {} matches {:?}", quoted(record), pattern.source)
            }
            Self::Unmatched(pattern, record) => {
                write!(
                    f,
                    "the record {} does not match {:?}",
                    quoted(record),
                    pattern.source
                )
            }
            Self::None(patterns, record) => {
                let sources: Vec<_> = patterns.iter().map(|pattern| &pattern.source).collect();
                write!(f, "no record matches any of {sources:?}")?;
                match record {
                    Some(record) => write!(f, "; the first is {}", quoted(record)),
                    None => Ok(()),
                }
            }
            Self::Expression(_) => f.write_str("an expression does not compile"),
        }
    }
}

impl<'a> Wrong<'a> {
    /// The expressions that failed.
    fn patterns(&self) -> &'a [Pattern] {
        match self {
            Self::NoRecords(patterns) | Self::None(patterns, _) => patterns,
            Self::Matched(pattern, _) | Self::Unmatched(pattern, _) | Self::Expression(pattern) => {
                slice::from_ref(pattern)
            }
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Expression(_) => Reason::ConfigError,
            _ => Reason::DnsRecords,
        }
    }

    fn advice(&self, asked: &Asked<'_>, section: &str) -> Option<String> {
        Some(match self {
            Self::NoRecords(_) => advice::dns::no_records(asked, section),
            Self::Matched(pattern, record) => advice::dns::unwanted(&pattern.source, &record.text),
            Self::Unmatched(pattern, record) => {
                advice::dns::mismatch(pattern.compiled.as_ref().ok()?, &record.text)
            }
            Self::None(patterns, Some(record)) => {
                let sources: Vec<&str> = patterns.iter().map(|pattern| pattern.source.as_str()).collect();
                advice::dns::none(&sources, &record.text)
            }
            Self::None(_, None) | Self::Expression(_) => return None,
        })
    }
}

/// Lets other tasks have their turn, when enough was looked at.
async fn take_turns(looked_at: &mut usize, record: &Record) {
    *looked_at += record.text.len().max(RECORD);
    if *looked_at >= TURN {
        *looked_at = 0;
        tokio::task::yield_now().await;
    }
}

/// An expression that does not compile fails the first record it is asked about, not the configuration.
async fn matches<'a>(
    pattern: &'a Pattern,
    record: &Record,
    log: &mut ProbeLog,
    looked_at: &mut usize,
) -> Result<bool, Wrong<'a>> {
    take_turns(looked_at, record).await;
    match &pattern.compiled {
        // Each name of a record that lists them may point at a long one: thousands make tens of megabytes.
        Ok(regexp) => Ok(regexp.matches(&record.text).await),
        Err(error) => {
            log!(log, Error, "Error matching regexp", "regexp" => pattern.source.clone(), "err" => text(error));
            Err(Wrong::Expression(pattern))
        }
    }
}

fn shown(record: &Record) -> LogValue {
    excerpt(&record.text, EXCERPT)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::check::Regexp;

    #[tokio::test]
    async fn a_long_record_is_searched_in_pieces() {
        let source = "(?s)foo.{0,1000}[pq]z".to_owned();
        let compiled = Regexp::new(&source);
        let validator = RrValidator {
            fail_if_matches: vec![Pattern { source, compiled }],
            ..RrValidator::default()
        };
        let octets = b"\0\0\x80\0\0\0\0\x01\0\0\0\0\0\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01";
        let mut answer = Message::read(octets).unwrap().answer;
        answer[0].text = b"foo".repeat(1 << 20);
        let (started, mut log) = (Instant::now(), ProbeLog::default());
        let judged = records(&answer, &validator, &mut log, None);
        let judged = tokio::time::timeout(Duration::from_millis(50), judged).await;
        assert!(judged.is_err() && started.elapsed() < Duration::from_secs(2));
    }
}
