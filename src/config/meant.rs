//! What somebody who wrote a word that is unknown most likely meant.

/// The candidate that somebody who wrote `word` most likely meant.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    let budget = (word.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|c| (distance(&word, &c.to_lowercase()), c))
        .filter(|(d, _)| *d <= budget)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// What helps who wrote a word that is none of these: the one that was probably meant, or all of them.
pub fn one_of<'a>(word: &str, names: impl IntoIterator<Item = &'a str, IntoIter: Clone>) -> String {
    let names = names.into_iter();
    match did_you_mean(word, names.clone()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("it is one of {}", names.collect::<Vec<_>>().join(", ")),
    }
}

/// Levenshtein's distance, neighbours swapped counting as one step.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, j) + usize::from(x != y))
                .min(at(&last, j + 1) + 1)
                .min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_was_meant() {
        let known = [
            "method",
            "headers",
            "body",
            "body_file",
            "follow_redirects",
            "tls_config",
        ];
        for (word, meant) in [
            ("metod", Some("method")),
            ("Method", Some("method")),
            ("header", Some("headers")),
            ("bdoy", Some("body")),
            ("follow-redirects", Some("follow_redirects")),
            ("follow_redirect", Some("follow_redirects")),
            ("retries", None),
        ] {
            assert_eq!(did_you_mean(word, known), meant, "{word}");
        }
    }
}
