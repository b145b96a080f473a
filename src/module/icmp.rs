//! The compiled `icmp` section.

use std::sync::Arc;
use std::time::Duration;

use super::{Problems, SectionSource};
use crate::config;
use crate::net::Preference;

/// What fills the payload, as far as it goes.
const TEXT: &[u8] = b"Prometheus Blackbox Exporter";
/// Longer than any packet: larger payloads are not made, they could not be sent.
const MAX_PAYLOAD: usize = 1 << 16;

/// An icmp module, ready to run.
#[derive(Debug)]
pub struct Icmp {
    /// The address family.
    pub preference: Preference,
    /// The source address.
    pub source: SectionSource,
    /// What a request carries, or the size that no packet can have.
    pub payload: Result<Arc<[u8]>, i64>,
    /// Set the don't-fragment flag; IPv4 only, as upstream.
    pub dont_fragment: bool,
    /// TTL or hop limit of requests, 0 for the system's.
    pub ttl: u8,
    /// How many requests.
    pub count: u32,
    /// How far apart.
    pub interval: Duration,
    /// How many must be answered.
    pub min_replies: usize,
}

impl Icmp {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(raw: &config::Icmp, problems: &mut Problems) -> Self {
        Self {
            preference: Preference::new(&raw.preferred_ip_protocol, raw.ip_protocol_fallback),
            source: problems.source("icmp.source_ip_address", &raw.source_ip_address),
            payload: payload(raw.payload_size).ok_or(raw.payload_size),
            dont_fragment: raw.dont_fragment,
            ttl: raw.ttl,
            count: raw.repeat.packets(),
            interval: raw.repeat.pause(),
            min_replies: usize::try_from(raw.min_replies).unwrap_or(0).max(1),
        }
    }
}

/// Upstream's text, cut or padded with zeroes; whole for size 0.
fn payload(size: i64) -> Option<Arc<[u8]>> {
    let size = match usize::try_from(size).ok()? {
        0 => TEXT.len(),
        size if size <= MAX_PAYLOAD => size,
        _ => return None,
    };
    let padded = TEXT.iter().copied().chain(std::iter::repeat(0));
    Some(padded.take(size).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_cut_or_padded() {
        let rows: &[(i64, Option<&[u8]>)] = &[
            (0, Some(TEXT)),
            (5, Some(b"Prome")),
            (30, Some(b"Prometheus Blackbox Exporter\0\0")),
            (-1, None),
            (i64::MAX, None),
        ];
        for (size, want) in rows {
            assert_eq!(payload(*size).as_deref(), *want, "{size}");
        }
    }
}
