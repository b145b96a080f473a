//! Label names with other characters than letters, digits and underscores, in the form that a scraper asks for.

use std::borrow::Cow;
use std::fmt::Write;

/// How such names are told: the `escaping` parameter of a format, as prometheus/common has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// As they are, in quotes.
    AllowUtf8,
    /// An underscore for each such character.
    Underscores,
    /// `_dot_` for a dot, two underscores for the others and for an underscore.
    Dots,
    /// `U__`, and the number of each such character between underscores.
    Values,
}

impl Escaping {
    /// The name as this scheme has it.
    pub fn label_name(self, name: &str) -> Cow<'_, str> {
        if self == Self::AllowUtf8 || is_plain_name(name) {
            return name.into();
        }
        let mut escaped = String::with_capacity(name.len() + 8);
        if self == Self::Values {
            escaped.push_str("U__");
        }
        for (at, c) in name.char_indices() {
            match (self, c) {
                (Self::Dots | Self::Values, '_') => escaped.push_str("__"),
                (_, c) if is_plain(at, c) => escaped.push(c),
                (Self::Dots, '.') => escaped.push_str("_dot_"),
                (Self::Dots, _) => escaped.push_str("__"),
                (Self::Values, c) => {
                    // Writing to a string does not fail.
                    let _ = write!(escaped, "_{:x}_", u32::from(c));
                }
                (Self::Underscores | Self::AllowUtf8, _) => escaped.push('_'),
            }
        }
        escaped.into()
    }
}

/// Whether a name needs no escaping.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.char_indices().all(|(at, c)| is_plain(at, c))
}

fn is_plain(at: usize, c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || (at > 0 && c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_has_its_form() {
        // name, underscores, dots, values
        let rows = [
            ("plain", "plain", "plain", "plain"),
            ("a_b__c", "a_b__c", "a_b__c", "a_b__c"),
            ("x-y", "x_y", "x__y", "U__x_2d_y"),
            ("a.b_c", "a_b_c", "a_dot_b__c", "U__a_2e_b__c"),
            ("1x", "_x", "__x", "U___31_x"),
            ("x1-1", "x1_1", "x1__1", "U__x1_2d_1"),
            ("\u{e9}", "_", "__", "U___e9_"),
            ("\u{5317}1", "_1", "__1", "U___5317_1"),
        ];
        for (name, underscores, dots, values) in rows {
            assert_eq!(Escaping::AllowUtf8.label_name(name), name);
            assert_eq!(Escaping::Underscores.label_name(name), underscores, "{name}");
            assert_eq!(Escaping::Dots.label_name(name), dots, "{name}");
            assert_eq!(Escaping::Values.label_name(name), values, "{name}");
        }
    }
}
