//! The order of keys that the user chose: letters by code point, digits by the number they make, the rest before
//! letters. This is `sorter.go` of both versions of Go's YAML package.

use crate::config::codec::yaml_version::YamlVersion;

/// Sorts keys. A merge sort of our own: the order of keys with very long numbers is not a total one, which the standard
/// library's sort may answer with a panic.
pub(super) fn sort<T>(mut entries: Vec<(String, T)>, version: YamlVersion) -> Vec<(String, T)> {
    if entries.len() < 2 {
        return entries;
    }
    let right = entries.split_off(entries.len() / 2);
    let mut left = sort(entries, version).into_iter().peekable();
    let mut right = sort(right, version).into_iter().peekable();
    let mut sorted = Vec::with_capacity(left.len() + right.len());
    loop {
        let next = match (left.peek(), right.peek()) {
            (Some(l), Some(r)) if is_less(&r.0, &l.0, version) => right.next(),
            (Some(_), _) => left.next(),
            (None, _) => right.next(),
        };
        match next {
            Some(entry) => sorted.push(entry),
            None => return sorted,
        }
    }
}

fn is_less(a: &str, b: &str, version: YamlVersion) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(x, y)| x != y) else {
        return a.len() < b.len();
    };
    let (Some(&x), Some(&y)) = (a.get(at), b.get(at)) else {
        return false;
    };
    let before = a.get(..at).unwrap_or_default();
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x < y,
        (false, false) => {}
        (x_is_letter, y_is_letter) => {
            let after_digit = before.last().is_some_and(|c| c.is_numeric());
            return if version == YamlVersion::V3 && after_digit {
                x_is_letter
            } else {
                y_is_letter
            };
        }
    }
    // A zero that differs counts as a digit of the number that the digits before it began.
    let started = (x == '0' || y == '0')
        && before
            .iter()
            .rev()
            .take_while(|c| c.is_numeric())
            .any(|c| *c != '0');
    let (x_number, x_length) = number(a.get(at..).unwrap_or_default(), started);
    let (y_number, y_length) = number(b.get(at..).unwrap_or_default(), started);
    (x_number, x_length, x) < (y_number, y_length, y)
}

/// The number that the leading digits make, and how many they are.
fn number(text: &[char], started: bool) -> (i64, usize) {
    let digits = text.iter().take_while(|c| c.is_numeric());
    digits.fold((i64::from(started), 0), |(value, count), digit| {
        let digit = i64::from(u32::from(*digit)) - i64::from(u32::from('0'));
        (value.wrapping_mul(10).wrapping_add(digit), count + 1)
    })
}
