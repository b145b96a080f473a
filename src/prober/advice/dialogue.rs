//! Dialogues of tcp, unix and websocket that did not go as the module says.

use std::io;

use super::nearest::nearest;
use super::quoted;
use crate::check::Regexp;

/// The peer ended before a line matched. `last` is what it said last; empty if nothing but empty lines came.
pub(in crate::prober) fn mismatch(regexp: &Regexp, last: &[u8]) -> String {
    differs(regexp, "", last)
}

/// What went before a step that waits.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::prober) struct Before {
    /// Whether the connection is in TLS.
    pub encrypted: bool,
    /// Whether the peer has sent what a step expected.
    pub heard: bool,
    /// Whether a step has sent something.
    pub sent: bool,
}

impl Before {
    /// What a peer may want that has not sent anything.
    fn or_tls(self) -> &'static str {
        match self.encrypted || self.heard {
            true => "",
            false => ", or expects TLS (tls: true)",
        }
    }
}

/// The peer ended without a word.
pub(in crate::prober) fn end(regexp: &Regexp, before: Before) -> String {
    let expected = quoted(regexp.source().as_bytes());
    if before.heard {
        return format!(
            "Expected {expected}; the peer closed the connection instead: it did not accept what was sent before, or crashed."
        );
    }
    let refuses = match before.encrypted {
        true => "or refuses this host's address",
        false => "refuses this host's address, or expects TLS (tls: true)",
    };
    format!(
        "Expected {expected}; the peer closed the connection without sending anything: it has too many connections, {refuses}."
    )
}

fn differs(regexp: &Regexp, then: &str, last: &[u8]) -> String {
    if let Some(line) = tls(last) {
        return line;
    }
    let expected = quoted(regexp.source().as_bytes());
    if last.is_empty() {
        return format!("Expected {expected}{then}; what came is empty.");
    }
    format!("Expected {expected}{then}; {}.", nearest(regexp, last))
}

/// Nothing came before the deadline.
pub(in crate::prober) fn silence(regexp: &Regexp, before: Before) -> String {
    let why = match before {
        Before { sent: true, .. } => "the service does not respond to what was sent before",
        Before { heard: true, .. } => {
            "after what came before, the service waits for the client (add a send step before)"
        }
        _ => "the service waits for the client to speak first (add a send step before)",
    };
    format!(
        "Nothing arrived while waiting for {}: {why}{}, or hangs.",
        quoted(regexp.source().as_bytes()),
        before.or_tls()
    )
}

/// Nothing that came before the deadline matched; see [`mismatch`].
pub(in crate::prober) fn no_more(regexp: &Regexp, last: &[u8]) -> String {
    differs(regexp, ", and no more lines came", last)
}

/// TLS where text was expected.
fn tls(bytes: &[u8]) -> Option<String> {
    matches!(bytes, [0x15 | 0x16, 3, ..])
        .then(|| "The port speaks TLS: set tls: true in the module.".to_owned())
}

/// Bytes that differ.
pub(in crate::prober) fn bytes(expected: &[u8], got: &[u8]) -> String {
    if let Some(line) = tls(got).filter(|_| !matches!(expected, [0x15 | 0x16, ..])) {
        return line;
    }
    let at = expected.iter().zip(got).position(|(a, b)| a != b);
    let place = at.map_or_else(
        || format!("it ended after {} of {} bytes", got.len(), expected.len()),
        |at| format!("byte {} differs", at + 1),
    );
    format!("Expected {}, got {}: {place}.", quoted(expected), quoted(got))
}

/// What matched is not ended by a newline, so that no time was left for what follows.
pub(in crate::prober) fn prompt(text: &[u8]) -> String {
    format!(
        "The peer sent the prompt {} without a newline, which was waited for until the deadline: set prompt: true beside expect in this step.",
        quoted(text)
    )
}

/// The connection broke.
pub(in crate::prober) fn broken(error: &io::Error) -> String {
    super::tls::after(error).unwrap_or_else(|| "The peer reset the connection during the dialogue: it did not accept what was sent, expects TLS (tls: true), or crashed.".to_owned())
}
