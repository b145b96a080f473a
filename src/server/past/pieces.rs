//! Texts that may be long, made piece by piece.
//!
//! A text is an iterator over its pieces, each at most some ten kilobytes: small enough to be made between two reads of the caller,
//! so that nothing holds the whole of it for a caller that reads slowly.

use std::sync::Arc;

use super::entry::Entry;
use crate::logging::{LogFormat, render_probe};
use crate::probe_log::Level;

/// Log lines in one piece.
const LINES: usize = 16;
/// Bytes of a text in one piece.
const BYTES: usize = 16 << 10;

/// The log of a past probe, all levels of it.
pub fn log(entry: Arc<Entry>, format: LogFormat) -> impl Iterator<Item = String> + Send {
    let pieces = entry.outcome.log.events().len().div_ceil(LINES);
    (0..pieces).map(move |piece| {
        let mut lines = String::new();
        let events = entry.outcome.log.events().iter().skip(piece * LINES).take(LINES);
        let (module, target) = (&entry.module.name, &entry.target);
        let trace = entry.outcome.trace.as_ref().map(|context| context.trace);
        render_probe(&mut lines, format, events, Level::Debug, module, target, trace);
        lines
    })
}

/// A text that is there already, cut up.
pub fn of<T: AsRef<str> + Send>(text: T) -> impl Iterator<Item = String> + Send {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = text.as_ref().get(from..).unwrap_or_default();
        let piece = rest.get(..rest.floor_char_boundary(BYTES))?;
        from += piece.len();
        (!piece.is_empty()).then(|| piece.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole() {
        for text in ["", "a", &"ü".repeat(BYTES), &"a".repeat(BYTES)] {
            let pieces: Vec<String> = of(text).collect();
            assert_eq!(pieces.concat(), text);
            assert!(
                pieces
                    .iter()
                    .all(|piece| !piece.is_empty() && piece.len() <= BYTES)
            );
        }
    }
}
