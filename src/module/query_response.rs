//! Compiled `query_response` steps, shared by the tcp, unix and websocket modules.

use super::Problems;
use crate::check::{Regexp, Template};
use crate::config;
use crate::metrics::Escaping;

/// One step of a dialogue, ready to run. What it does, it does in the order of the fields.
#[derive(Clone, Debug)]
pub struct Step {
    /// Wait for a line that matches.
    pub expect: Option<Expect>,
    /// Wait for exactly these bytes; nothing when empty.
    pub expect_bytes: Box<[u8]>,
    /// Send this, filled from the match of `expect`; nothing when it comes out empty.
    pub send: Template,
    /// Whether it is bytes and not text; a websocket has messages of either kind.
    pub binary: bool,
    /// Send a line break behind it.
    pub newline: bool,
    /// Go on in TLS.
    pub starttls: bool,
}

/// What a line must match, and what to tell of it.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The expression.
    pub regexp: Regexp,
    /// Whether it may match a line that is not ended yet.
    pub prompt: bool,
    /// Labels of `probe_expect_info`; `None` when the step has none, empty when it has an empty list.
    pub labels: Option<Vec<InfoLabel>>,
}

/// A label of `probe_expect_info`.
#[derive(Clone, Debug)]
pub struct InfoLabel {
    /// Its name, which a scraper gets in the form that it asks for.
    pub name: String,
    /// Its value.
    pub value: Template,
}

impl InfoLabel {
    /// Whether a name is the label's own, at least to scrapers that take letters, digits and underscores only.
    pub fn has_name_of(&self, other: &str) -> bool {
        let escaping = Escaping::Underscores;
        escaping.label_name(&self.name) == escaping.label_name(other)
    }
}

impl Step {
    /// Compiles the steps of the section at `path`; expressions that do not compile are reported.
    pub fn compile_all(raw: &[config::QueryResponse], path: &str, problems: &mut Problems) -> Vec<Self> {
        raw.iter()
            .enumerate()
            .map(|(index, raw)| Self::compile(raw, &format!("{path}.query_response[{index}]"), problems))
            .collect()
    }

    fn compile(raw: &config::QueryResponse, path: &str, problems: &mut Problems) -> Self {
        let source = raw.expect.as_ref();
        let regexp = source.and_then(|source| problems.expression(format!("{path}.expect"), source));
        // Without a match there is nothing to fill in, and `$1` is sent as it stands.
        let send = match &regexp {
            Some(regexp) => Template::new(&raw.send, regexp),
            None => Template::verbatim(&raw.send),
        };
        let (send, binary, newline) = match raw.send_hex.0.as_slice() {
            [] => (send, false, !raw.no_newline),
            bytes => (Template::verbatim(bytes), true, false),
        };
        let expect_bytes = match raw.expect_hex.0.as_slice() {
            [] => &raw.expect_bytes,
            _ => &raw.expect_hex.0,
        };
        let expect = regexp.map(|regexp| Expect {
            labels: raw.labels.as_ref().map(|labels| info_labels(labels, &regexp)),
            regexp,
            prompt: raw.prompt,
        });
        Self {
            expect,
            expect_bytes: expect_bytes.clone().into(),
            send,
            binary,
            newline,
            starttls: raw.starttls,
        }
    }
}

/// The labels in the order of their names as written, which is the order in which upstream prints them.
fn info_labels(raw: &[config::Label], regexp: &Regexp) -> Vec<InfoLabel> {
    let mut raw: Vec<&config::Label> = raw.iter().collect();
    raw.sort_by(|a, b| a.name.cmp(&b.name));
    let mut labels: Vec<InfoLabel> = Vec::with_capacity(raw.len());
    for label in raw {
        let Some(name) = label_name(&label.name) else {
            continue;
        };
        let value = Template::new(label.value.as_bytes(), regexp);
        let label = InfoLabel { name, value };
        // compat: a name given twice, or twice the same after escaping, breaks the probe or the scrape upstream.
        labels.retain(|other| !other.has_name_of(&label.name));
        labels.push(label);
    }
    labels
}

/// The name of a label, if it may have one.
fn label_name(name: &str) -> Option<String> {
    // compat: upstream's probe crashes on an empty name and on those that Prometheus keeps for itself.
    if name.is_empty() || name.starts_with("__") {
        return None;
    }
    // compat: upstream lets a colon stand, which no scraper can read.
    Some(name.replace(':', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names_are_made_fit() {
        let rows = [
            ("plain", Some("plain")),
            ("a-b", Some("a-b")),
            ("a:b", Some("a_b")),
            ("_low", Some("_low")),
            ("__name__", None),
            ("", None),
        ];
        for (name, want) in rows {
            assert_eq!(label_name(name).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn bad_expressions_are_reported_with_their_place() {
        let raw = [
            config::QueryResponse::default(),
            config::QueryResponse {
                expect: Some("(".into()),
                ..config::QueryResponse::default()
            },
        ];
        let mut problems = Problems::default();
        Step::compile_all(&raw, "tcp", &mut problems);
        let [problem] = problems.found() else {
            panic!("{problems:?}");
        };
        assert_eq!(problem.path, "tcp.query_response[1].expect");
        assert_eq!(problem.message, "error parsing regexp: missing closing ): `(`");
    }
}
