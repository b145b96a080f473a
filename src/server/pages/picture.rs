//! Phases as inline SVG. Colours come from the style sheet, so the pictures follow light and dark.

use std::fmt::Write as _;
use std::time::Duration;

use crate::prober::{Phase, PhaseSpan};

/// Width of a picture in its own units; the page scales it.
const WIDTH: f64 = 1000.0;
/// A phase too short to be seen still shows as a line.
const LEAST: f64 = 3.0;

/// The phases of a whole probe in one line.
pub fn line<'a>(phases: impl Iterator<Item = &'a PhaseSpan>, whole: Duration) -> String {
    svg(phases, whole)
}

/// One phase at its place within the whole probe.
pub fn bar(phase: &PhaseSpan, whole: Duration) -> String {
    svg(std::iter::once(phase), whole)
}

fn svg<'a>(phases: impl Iterator<Item = &'a PhaseSpan>, whole: Duration) -> String {
    let scale = WIDTH / whole.as_secs_f64().max(1e-9);
    let mut svg =
        String::from(r#"<svg viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true">"#);
    for phase in phases {
        let from = (phase.start.as_secs_f64() * scale).min(WIDTH - LEAST);
        let width = (phase.length.as_secs_f64() * scale).clamp(LEAST, WIDTH - from);
        // Writing to a string does not fail.
        let _ = write!(
            svg,
            r#"<rect class="{}" x="{from:.1}" y="3" width="{width:.1}" height="14"/>"#,
            class(phase.phase)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The colour of a phase in the style sheet.
pub fn class(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve | Phase::Connect | Phase::Tls | Phase::Processing | Phase::Transfer => phase.label(),
        Phase::Setup | Phase::Token => "connect",
        Phase::Rtt | Phase::Request | Phase::Check => "processing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_stands_where_it_ran() {
        let phase = PhaseSpan {
            phase: Phase::Tls,
            start: Duration::from_millis(250),
            length: Duration::from_millis(500),
        };
        let picture = bar(&phase, Duration::from_secs(1));
        assert!(
            picture.contains(r#"class="tls" x="250.0" y="3" width="500.0""#),
            "{picture}"
        );
    }

    #[test]
    fn no_phase_leaves_the_picture() {
        let late = PhaseSpan {
            phase: Phase::Connect,
            start: Duration::from_secs(9),
            length: Duration::from_secs(9),
        };
        let picture = bar(&late, Duration::from_secs(1));
        assert!(picture.contains(r#"x="997.0" y="3" width="3.0""#), "{picture}");
        assert!(bar(&late, Duration::ZERO).contains("width=\"3.0\""));
    }
}
