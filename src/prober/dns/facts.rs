//! What a response says of itself (`facts`), and of its signatures (`dnssec`).

use std::collections::HashSet;

use miekg_dns::record::types;
use miekg_dns::{Message, Record};

use crate::calendar::unix_now;
use crate::metrics::{Metric, Samples};
use crate::module::Dns;

/// The type that lets a server make CNAME records, which nobody has signed.
const DNAME: u16 = 39;
const CNAME: u16 = 5;

/// Exposes what the module asks for. `truncated` is whether the first response was.
pub(super) fn expose(samples: &mut Samples, module: &Dns, answer: &Message, truncated: bool) {
    let is_dnssec = module.edns.is_some_and(|edns| edns.dnssec);
    if module.facts {
        samples.set(Metric::DnsRcode, f64::from(answer.rcode));
        samples.set_bool(Metric::DnsFlagAa, answer.is_authoritative());
        samples.set_bool(Metric::DnsFlagTc, answer.is_truncated());
        samples.set_bool(Metric::DnsFlagRa, answer.recurses());
        samples.set_bool(Metric::DnsFlagAd, answer.is_authentic());
        samples.set_bool(Metric::DnsReplyTruncated, truncated);
        samples.set(Metric::DnsAnswerHash, f64::from(hash(&answer.answer)));
        if let Some(least) = answer.answer.iter().map(|record| record.header.ttl).min() {
            samples.set(Metric::DnsAnswerMinTtl, f64::from(least));
        }
    }
    if is_dnssec {
        samples.set_bool(Metric::DnsFlagDo, answer.is_dnssec_ok());
        samples.set_bool(Metric::DnsDnssecSigned, is_signed(answer));
        samples.set_bool(Metric::DnsAdBitSet, answer.is_authentic());
        expose_signatures(samples, answer);
    }
}

/// The families that upstream's pull request 1553 has of the signatures of all sections; none without a signature.
fn expose_signatures(samples: &mut Samples, answer: &Message) {
    let sections = [&answer.answer, &answer.authority, &answer.additional];
    let signatures = || {
        sections
            .into_iter()
            .flatten()
            .filter_map(|record| record.signature)
    };
    let first = signatures().map(|signature| signature.expiration).min();
    let last = signatures().map(|signature| signature.inception).max();
    if let Some((expiration, inception)) = first.zip(last) {
        let now = unix_now();
        let is_valid = (i64::from(inception)..=i64::from(expiration)).contains(&now);
        samples.set(Metric::DnsRrsigEarliestExpiration, f64::from(expiration));
        samples.set(Metric::DnsRrsigLatestInception, f64::from(inception));
        samples.set_bool(Metric::DnsRrsigValid, is_valid);
    }
}

/// FNV-1a, 32 bits, of the records in the order of their texts. Signatures are not part of it, because a zone that is signed
/// again says the same; nor is the case of names.
fn hash(records: &[Record]) -> u32 {
    let mut texts: Vec<Vec<u8>> = records
        .iter()
        .filter(|record| record.header.rtype != types::RRSIG)
        .map(|record| {
            let owner = record.header.owner.to_ascii_lowercase();
            [owner.as_slice(), b"\t", record.class_type_data(), b"\n"].concat()
        })
        .collect();
    texts.sort_unstable();
    texts.iter().flatten().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// Whether every set of records of the answer has a signature, or where there is no answer, of what denies it.
fn is_signed(answer: &Message) -> bool {
    let records = if answer.answer.is_empty() {
        &answer.authority
    } else {
        &answer.answer
    };
    let owner = |record: &Record| record.header.owner.to_ascii_lowercase();
    let signed: HashSet<(Vec<u8>, u16)> = records
        .iter()
        .filter_map(|record| Some((owner(record), record.signature?.covered)))
        .collect();
    let has_dname = records.iter().any(|record| record.header.rtype == DNAME);
    let mut sets = records
        .iter()
        .filter(|record| record.header.rtype != types::RRSIG)
        .filter(|record| !(has_dname && record.header.rtype == CNAME))
        .peekable();
    sets.peek().is_some() && sets.all(|record| signed.contains(&(owner(record), record.header.rtype)))
}
