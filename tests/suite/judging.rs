//! Properties of what judges: no expression, template or peer makes it fail otherwise than by an error.

use blackbox_exporter::check::{Cel, Regexp, Template};
use blackbox_exporter::config::{self, Prober, QueryResponse};
use proptest::prelude::*;

use crate::support::peer::{Move, Peer};
use crate::support::probing::{PATIENT, log_of, run};

/// Texts that are more often nearly an expression than not.
fn pattern() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "b",
        "é",
        "\u{fffd}",
        "(",
        ")",
        "(?:",
        "(?i)",
        "(?s)",
        "(?m)",
        "(?U)",
        "(?-",
        "(?P<n>",
        "(?<n>",
        "|",
        "*",
        "+",
        "?",
        "{2}",
        "{,2}",
        "{1,3}",
        "{1000}",
        "{",
        "}",
        "[",
        "]",
        "[^",
        "[[:alpha:]]",
        "[:",
        "-",
        "^",
        "$",
        ".",
        r"\b",
        r"\B",
        r"\A",
        r"\z",
        r"\Q",
        r"\E",
        r"\d",
        r"\W",
        r"\pL",
        r"\p{Greek}",
        r"\p{",
        r"\x{",
        r"\x41",
        r"\123",
        r"\",
        "\n",
        "&&",
    ]);
    prop_oneof![
        4 => prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"a",
        b"b",
        b"A",
        b" ",
        b"\n",
        b"_",
        b"1",
        b"\xc3\xa9",
        b"\xc3",
        b"\xff",
        b"\xe2\x82",
        b"\xf0\x9f\x98\x80",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pattern_compiles_or_says_why(source in pattern(), text in bytes(), template in any::<Vec<u8>>()) {
        match Regexp::new(&source) {
            Err(error) => prop_assert!(error.to_string().starts_with("error parsing regexp: ")),
            Ok(regexp) => {
                let found = regexp.captures(&text);
                prop_assert_eq!(regexp.is_match(&text), found.is_some());
                if let Some(found) = found {
                    let whole = found.group(0).unwrap_or_default();
                    prop_assert!(text.windows(whole.len().max(1)).any(|w| w == whole) || whole.is_empty());
                    Template::new(&template, &regexp).expand(Some(&found));
                }
            }
        }
    }

    /// Quoted, a text matches itself and nothing shorter, whatever bytes stand around it.
    #[test]
    fn quoted_texts_match_themselves(text in "[a-zé.*+?()\\[\\]{}|^$ ]{1,12}", before in bytes()) {
        let regexp = Regexp::new(&format!(r"\Q{text}\E$")).unwrap();
        let mut whole = before.clone();
        whole.extend(text.as_bytes());
        let found = regexp.captures(&whole);
        prop_assert!(found.is_some_and(|found| found.group(0) == Some(text.as_bytes())));
    }

    #[test]
    fn any_cel_expression_compiles_or_says_why(source in any::<String>()) {
        let _ = Cel::new(&source);
    }

    #[test]
    fn any_cel_like_expression_compiles_or_says_why(pieces in prop::collection::vec(prop::sample::select(vec![
        "body", ".", "a", "(", ")", "[", "]", "{", "}", "==", "&&", "||", "!", "-", "1", "1u", "2.5", "'x'", "b'x'", "\"", ",", ":", "?", "in",
        "true", "null", "has(", ".all(x,", ".map(x,", "size(", " ", "\n", "`a`", "\\u00", "0x", "1e", "//", "'''", "@",
    ]), 0..14)) {
        let _ = Cel::new(&pieces.concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// However a peer cuts what it sends, the same lines are seen.
    #[test]
    fn lines_do_not_depend_on_how_they_come(text in bytes(), cuts in prop::collection::vec(0_usize..24, 0..5)) {
        let mut text = text;
        text.extend(b"\nlast\r\n");
        // What upstream's scanner makes of it.
        let lines: Vec<Vec<u8>> = text
            .split(|b| *b == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
            .collect();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < text.len()).collect();
        cuts.sort_unstable();
        let mut moves = Vec::new();
        let mut from = 0;
        for cut in cuts {
            moves.push(Move::Send(text[from..cut].to_vec()));
            from = cut;
        }
        moves.push(Move::Send(text[from..].to_vec()));
        moves.push(Move::Close);
        let mut module = config::Module::new(Prober::Tcp);
        // The last piece is what stands behind the last newline: nothing.
        for line in &lines[..lines.len() - 1] {
            // A byte that is not UTF-8 is one character.
            let characters: usize = line.utf8_chunks().map(|c| c.valid().chars().count() + c.invalid().len()).sum();
            module.tcp.query_response.push(QueryResponse {
                expect: Some(format!("(?s)^.{{{characters}}}$")),
                ..QueryResponse::default()
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(async {
            let peer = Peer::play(moves).await;
            run(module, &peer.target(), PATIENT).await
        });
        prop_assert!(outcome.success, "{}", log_of(&outcome));
    }
}
