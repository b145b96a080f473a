//! What the first line of a server that speaks first means.

/// How servers begin that refuse connections: of SSH, IMAP, ManageSieve, IRC, and of FTP until they are ready.
const REFUSALS: [&str; 6] = ["Exceeded ", "Not allowed ", "* BYE", "BYE ", "ERROR ", "120 "];

/// Whether a server refuses connections with this line.
pub fn is_refusal(line: &str) -> bool {
    // SMTP, FTP and NNTP: a status of 4xx or 5xx.
    let is_status = matches!(line.as_bytes(), [b'4' | b'5', tens, ones, rest @ ..]
        if tens.is_ascii_digit() && ones.is_ascii_digit() && matches!(rest, [] | [b' ' | b'-', ..]));
    // POP3, Redis, NATS: -ERR, -DENIED.
    let is_error = matches!(line.as_bytes(), [b'-', b'A'..=b'Z', ..]);
    is_status || is_error || is_of_mysql(line) || REFUSALS.iter().any(|words| line.starts_with(words))
}

/// Whether it is an error of MySQL: a packet of less than 64 KiB, the first, that begins with 0xff.
fn is_of_mysql(line: &str) -> bool {
    line.chars().skip(2).take(3).eq(['\0', '\0', '\u{fffd}'])
}

/// Whether it is the SETTINGS frame that a server of HTTP/2 begins with.
pub fn is_http2(line: &str) -> bool {
    matches!(line.as_bytes(), [0, 0, _, 4, ..])
}

/// An expression for the first word, with `*` the first two; `None` if there is none to expect.
pub fn expression(line: &str) -> Option<String> {
    // Every greeting of IMAP begins with the asterisk, refusals too.
    let (tag, rest) = match line.strip_prefix("* ") {
        Some(rest) => ("* ", rest),
        None => ("", line),
    };
    let word = rest.split([' ', '-']).next().unwrap_or_default();
    let is_text = !word.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER);
    let is_expected = is_text && !word.is_empty() && !is_refusal(line);
    is_expected.then(|| format!("^{}", go_regexp::quote_meta(&format!("{tag}{word}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_expected_unless_it_refuses_or_is_no_text() {
        let rows = [
            ("220 mail.example.com ESMTP", Some("^220")),
            ("220-two lines", Some("^220")),
            ("200 news.example.com", Some("^200")),
            ("201 no posting", Some("^201")),
            ("SSH-2.0-OpenSSH_9.2", Some("^SSH")),
            ("+OK ready", Some("^\\+OK")),
            ("* OK [CAPABILITY IMAP4rev1] ready", Some("^\\* OK")),
            ("* PREAUTH welcome", Some("^\\* PREAUTH")),
            ("INFO {\"server_id\":\"NA\"}", Some("^INFO")),
            ("4000 users", Some("^4000")),
            ("", None),
            (" indented", None),
            ("J\0\0\0", None),
            ("\u{fffd}\u{fffd}", None),
        ];
        for (line, expected) in rows {
            assert!(!is_refusal(line), "{line:?}");
            assert_eq!(expression(line).as_deref(), expected, "{line:?}");
        }
        let refusals = [
            "421 4.7.0 too many connections",
            "554-no",
            "400",
            "-ERR max number of clients reached",
            "-DENIED Redis is running in protected mode",
            "-NOAUTH Authentication required.",
            "Exceeded MaxStartups",
            "* BYE too many connections",
            "BYE (TRYLATER) \"too many connections\"",
            "120 Service ready in 5 minutes",
            "D\0\0\0\u{fffd}j\u{4}Host '10.0.0.1' is not allowed to connect",
        ];
        for line in refusals {
            assert!(is_refusal(line), "{line:?}");
            assert_eq!(expression(line), None, "{line:?}");
        }
    }
}
