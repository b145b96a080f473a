//! What each expression and each step of a probe met: kept when the request asks for an explanation, as the playground does, and no
//! work otherwise.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Probe;
use super::advice::nearest::nearest;
use crate::check::{Match, Regexp};
use crate::display::short;
use crate::module::Step;
use crate::net::Deadline;

/// Most findings of a probe, most details of one, and most characters of a text.
const MOST: usize = 100;
const DETAILS: usize = 40;
const SHOWN: usize = 500;

/// How something was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// An earlier check failed, so that this one does not count.
    NotJudged,
}

impl Judged {
    /// The verdict of a check that was made.
    pub fn of(passes: bool) -> Self {
        if passes { Self::Passed } else { Self::Failed }
    }
}

/// What one expression, or one step of a dialogue, met.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Where it stands in the module: `http.fail_if_body_matches_regexp[0]`.
    pub setting: String,
    /// As it was written; empty when there is nothing to quote.
    pub expression: String,
    /// How it was judged.
    pub verdict: Judged,
    /// What was found, in its order: what it is, and its text, harmless and short.
    pub details: Vec<(String, String)>,
}

/// All of them, in the order of the probe.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    found: Vec<Finding>,
    left_out: usize,
    /// The verdicts of checks that are not told yet, in the order in which they were made.
    verdicts: VecDeque<Judged>,
    took: Duration,
}

impl Finding {
    /// Of a setting, as yet without details.
    pub fn new(setting: impl Into<String>, expression: &str, verdict: Judged) -> Self {
        Self {
            setting: setting.into(),
            expression: short(expression, SHOWN),
            verdict,
            details: Vec::new(),
        }
    }

    /// Adds a detail.
    pub fn add(&mut self, what: impl Into<String>, text: &[u8]) {
        self.add_text(what, &crate::carried::text(text));
    }

    /// As [`Finding::add`], of a text.
    pub fn add_text(&mut self, what: impl Into<String>, text: &str) {
        match self.details.len() {
            ..DETAILS => self.details.push((what.into(), short(text, SHOWN))),
            DETAILS => self
                .details
                .push(("And more".to_owned(), "which is left out".to_owned())),
            _ => {}
        }
    }

    /// Adds what an expression matched, with its groups.
    pub fn add_match(&mut self, regexp: &Regexp, found: &Match<'_>) {
        self.add("Matched", found.group(0).unwrap_or_default());
        for (index, name) in regexp.names().iter().enumerate().skip(1) {
            let what = match &**name {
                "" => format!("Group {index}"),
                name => format!("Group {index}, {name}"),
            };
            match found.group(index) {
                Some(text) => self.add(what, text),
                None => self.add_text(what, "took no part"),
            }
        }
    }

    /// Looks for an expression in a text, and adds what it matched, or what came nearest. Whether it matched.
    pub async fn look(&mut self, regexp: &Regexp, text: &Bytes, deadline: Deadline) -> bool {
        match regexp.captures_within(text, deadline).await {
            Ok(Some(found)) => {
                self.add_match(regexp, &found);
                true
            }
            Ok(None) => {
                self.add_nearest(regexp, text);
                false
            }
            Err(timed_out) => {
                self.add_text("Not searched", &timed_out.to_string());
                false
            }
        }
    }

    /// Adds what came nearest to an expression that did not match.
    pub fn add_nearest(&mut self, regexp: &Regexp, text: &[u8]) {
        self.add_text("No match", &nearest(regexp, text));
    }
}

impl Findings {
    /// What was found.
    pub fn list(&self) -> &[Finding] {
        &self.found
    }

    /// How many more there were.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// How long it took to find out what the judgement itself does not, which is no part of the probe's duration.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Findings were looked for since then.
    pub(super) fn looked(&mut self, since: Instant) {
        self.took += since.elapsed();
    }

    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        if self.found.len() < MOST {
            self.found.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// The verdict of the next check of those that were [made](Probe::judged) one after the other: the first one that failed was the last.
    pub(super) fn verdict(&mut self) -> Judged {
        self.verdicts.pop_front().unwrap_or(Judged::NotJudged)
    }

    /// Replaces the texts for which `rewrite` has another one.
    pub(super) fn rewrite(&mut self, rewrite: impl Fn(&str) -> Option<String>) {
        for finding in &mut self.found {
            let texts = finding.details.iter_mut().map(|(_, text)| text);
            for text in texts.chain([&mut finding.expression]) {
                if let Some(rewritten) = rewrite(text) {
                    *text = rewritten;
                }
            }
        }
    }
}

impl Probe<'_> {
    /// Keeps the verdict of a check that was made, if findings are kept, and returns it.
    pub(super) fn judged(&mut self, passes: bool) -> bool {
        if let Some(findings) = &mut self.attempt.findings {
            findings.verdicts.push_back(Judged::of(passes));
        }
        passes
    }

    /// A step of a dialogue begins; the notes that follow belong to it.
    pub(super) fn explain_step(&mut self, number: usize) {
        if let Some(findings) = &mut self.attempt.findings {
            let setting = format!("query_response[{}]", number - 1);
            // Until it has passed.
            findings.push(Finding::new(setting, "", Judged::Failed));
        }
    }

    /// What the step was to match.
    pub(super) fn explain_expect(&mut self, regexp: &Regexp) {
        self.explain(|finding| finding.expression = short(regexp.source(), SHOWN));
    }

    /// The step under way has passed.
    pub(super) fn explain_passed(&mut self) {
        self.explain(|finding| finding.verdict = Judged::Passed);
    }

    /// The dialogue has ended: what stands behind the step under way was not reached.
    pub(super) fn explain_unreached(&mut self, steps: &[Step]) {
        let Some(findings) = &mut self.attempt.findings else {
            return;
        };
        for (index, step) in steps.iter().enumerate().skip(self.attempt.step.unwrap_or(0)) {
            let expect = step.expect.as_ref().map_or("", |expect| expect.regexp.source());
            let setting = format!("query_response[{index}]");
            findings.push(Finding::new(setting, expect, Judged::NotJudged));
        }
    }

    /// What was read or sent.
    pub(super) fn explain_text(&mut self, what: &'static str, text: &[u8]) {
        self.explain(|finding| finding.add(what, text));
    }

    /// Adds to the finding under way, if findings are kept.
    pub(super) fn explain(&mut self, tell: impl FnOnce(&mut Finding)) {
        if let Some(finding) = self
            .attempt
            .findings
            .as_mut()
            .and_then(|findings| findings.found.last_mut())
        {
            tell(finding);
        }
    }
}
