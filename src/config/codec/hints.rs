//! What somebody who wrote an unknown field most likely wanted.

use super::meant::did_you_mean;

/// Where a field belongs that a section with some known fields does not have.
pub(crate) type Elsewhere = fn(name: &str, known: &[&'static str]) -> Option<String>;

/// What helps who wrote a field that the section does not have: what was meant, or a list of its fields.
pub(super) fn help(name: &str, known: &[&'static str], elsewhere: Elsewhere) -> Option<String> {
    // The http section has too many fields to list them.
    let list = || (known.len() <= 20).then(|| format!("known fields: {}", known.join(", ")));
    hint(name, known).or_else(|| elsewhere(name, known)).or_else(list)
}

/// A hint for a field that a section with the fields `known` does not have.
pub(crate) fn hint(name: &str, known: &[&'static str]) -> Option<String> {
    // A name with the opposite meaning is worse than none.
    let same_meaning = || {
        known
            .iter()
            .copied()
            .filter(|other| is_negated(other) == is_negated(name))
    };
    if let Some(meant) = same_meaning().find(|other| is_shortened(name, other)) {
        return Some(format!("did you mean {meant:?}?"));
    }
    did_you_mean(name, same_meaning()).map(|meant| format!("did you mean {meant:?}?"))
}

fn is_negated(name: &str) -> bool {
    name.split(['_', '-'])
        .any(|word| matches!(word, "no" | "not" | "none"))
}

/// Whether the words of a name are some of those of a longer one, in their order: `fail_if_matches_regexp`, as it was
/// before it became `fail_if_body_matches_regexp`.
fn is_shortened(name: &str, longer: &str) -> bool {
    let words = || name.split(['_', '-']);
    let mut rest = longer.split('_');
    words().count() > 2 && words().all(|word| rest.any(|other| other == word))
}
