//! What somebody who wrote a word that is unknown most likely meant.

/// The candidate that somebody who wrote `word` most likely meant.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.to_lowercase().replace('-', "_").chars().take(64).collect();
    let budget = (word.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|c| (strsim::osa_distance(&word, &c.to_lowercase()), c))
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
