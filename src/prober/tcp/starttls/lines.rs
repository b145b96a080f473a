//! Protocols of lines, as data: smtp, lmtp, imap, pop3, ftp, sieve, nntp, irc.

use std::net::IpAddr;

use super::error::StartTlsError;
use super::wire::Wire;

/// What one side says, and how the other responds.
#[derive(Debug)]
pub(super) struct Exchange {
    /// What is sent, without the end of the line; empty for the greeting.
    say: &'static str,
    /// Whether the client's own address follows.
    with_address: bool,
    /// What the response is called.
    awaited: &'static str,
    reply: Reply,
    /// The word that must be among the lines of the response.
    offers: Option<&'static str>,
}

/// The response that leads on.
#[derive(Clone, Copy, Debug)]
enum Reply {
    /// A code of three digits; `CODE-` begins a response of several lines, which `CODE ` ends.
    Code(&'static [&'static str]),
    /// A line that begins so.
    Begins(&'static str),
    /// IMAP: the line of this tag with OK, behind lines without a tag.
    Tagged(&'static str),
    /// ManageSieve: capabilities, each on a line of its own that begins with a quote, then OK.
    Capabilities,
    /// IRC: this numeric, behind notices.
    Numeric(&'static str),
}

/// What a line is to the one who waits for a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    More,
    Yes,
    No,
}

const PLAIN: Exchange = Exchange {
    say: "",
    with_address: false,
    awaited: "the greeting",
    reply: Reply::Code(&["220"]),
    offers: None,
};

const STARTTLS: Exchange = Exchange {
    say: "STARTTLS",
    awaited: "the response to STARTTLS",
    ..PLAIN
};

const EHLO: Exchange = Exchange {
    say: "EHLO ",
    with_address: true,
    awaited: "the response to EHLO",
    reply: Reply::Code(&["250"]),
    offers: Some("STARTTLS"),
};

/// RFC 3207.
pub(super) const SMTP: [Exchange; 3] = [PLAIN, EHLO, STARTTLS];

/// RFC 2033.
pub(super) const LMTP: [Exchange; 3] = [
    PLAIN,
    Exchange {
        say: "LHLO ",
        awaited: "the response to LHLO",
        ..EHLO
    },
    STARTTLS,
];

/// RFC 3501, section 6.2.1.
pub(super) const IMAP: [Exchange; 2] = [
    Exchange {
        reply: Reply::Begins("* OK"),
        ..PLAIN
    },
    Exchange {
        say: "a1 STARTTLS",
        reply: Reply::Tagged("a1"),
        ..STARTTLS
    },
];

/// RFC 2595, section 4.
pub(super) const POP3: [Exchange; 2] = [
    Exchange {
        reply: Reply::Begins("+OK"),
        ..PLAIN
    },
    Exchange {
        say: "STLS",
        awaited: "the response to STLS",
        reply: Reply::Begins("+OK"),
        ..PLAIN
    },
];

/// RFC 4217.
pub(super) const FTP: [Exchange; 2] = [
    PLAIN,
    Exchange {
        say: "AUTH TLS",
        awaited: "the response to AUTH TLS",
        reply: Reply::Code(&["234"]),
        ..PLAIN
    },
];

/// RFC 5804, section 2.2.
pub(super) const SIEVE: [Exchange; 2] = [
    Exchange {
        reply: Reply::Capabilities,
        offers: Some("STARTTLS"),
        ..PLAIN
    },
    Exchange {
        reply: Reply::Capabilities,
        ..STARTTLS
    },
];

/// RFC 4642.
pub(super) const NNTP: [Exchange; 2] = [
    Exchange {
        reply: Reply::Code(&["200", "201"]),
        ..PLAIN
    },
    Exchange {
        reply: Reply::Code(&["382"]),
        ..STARTTLS
    },
];

/// The extension `tls` of IRCv3.
pub(super) const IRC: [Exchange; 1] = [Exchange {
    reply: Reply::Numeric("670"),
    ..STARTTLS
}];

/// Asks for TLS.
pub(super) async fn ask(
    wire: &mut Wire<'_, '_>,
    exchanges: &[Exchange],
    own: Option<IpAddr>,
) -> Result<(), StartTlsError> {
    for exchange in exchanges {
        if exchange.say.is_empty() {
            wire.awaited = exchange.awaited;
        } else {
            let mut line = exchange.say.to_owned();
            if exchange.with_address {
                line.push_str(&literal(own));
            }
            line.push_str("\r\n");
            wire.send(line.as_bytes(), exchange.awaited).await?;
        }
        read(wire, exchange).await?;
    }
    Ok(())
}

/// Reads a response to its end.
async fn read(wire: &mut Wire<'_, '_>, exchange: &Exchange) -> Result<(), StartTlsError> {
    let mut first: Option<Vec<u8>> = None;
    let mut is_offered = exchange.offers.is_none();
    loop {
        let line = wire.line().await?;
        let said = exchange.reply.judge(first.as_deref().unwrap_or(&line), &line);
        is_offered = is_offered || exchange.offers.is_some_and(|word| has_word(&line, word));
        match said {
            Said::More => {
                first.get_or_insert(line);
            }
            Said::Yes if is_offered => return Ok(()),
            Said::Yes => return Err(StartTlsError::NotOffered { said: line }),
            Said::No => return Err(StartTlsError::Refused { said: line }),
        }
    }
}

impl Reply {
    /// What a line says, given the first one of its response.
    fn judge(self, first: &[u8], line: &[u8]) -> Said {
        let yes_if = |is: bool| if is { Said::Yes } else { Said::No };
        match self {
            Self::Code(wanted) => {
                let Some((code, rest)) = first.split_at_checked(3) else {
                    return Said::No;
                };
                if !code.iter().all(u8::is_ascii_digit) || !matches!(rest.first(), None | Some(b' ' | b'-')) {
                    return Said::No;
                }
                if rest.first() == Some(&b'-') {
                    let end = line.strip_prefix(code);
                    if !end.is_some_and(|end| matches!(end.first(), None | Some(b' '))) {
                        return Said::More;
                    }
                }
                yes_if(wanted.iter().any(|wanted| code == wanted.as_bytes()))
            }
            Self::Begins(word) => yes_if(begins(line, word)),
            Self::Tagged(tag) => {
                if line.starts_with(b"* ") && !begins(line, "* BYE") {
                    return Said::More;
                }
                let rest = line.strip_prefix(tag.as_bytes());
                yes_if(rest.is_some_and(|rest| begins(rest, " OK")))
            }
            Self::Capabilities => match line.first() {
                Some(b'"') => Said::More,
                _ => yes_if(begins(line, "OK")),
            },
            Self::Numeric(wanted) => {
                let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
                let mut word = words.next().unwrap_or_default();
                if word.starts_with(b":") {
                    word = words.next().unwrap_or_default();
                }
                if word.eq_ignore_ascii_case(b"NOTICE") {
                    return Said::More;
                }
                yes_if(word == wanted.as_bytes())
            }
        }
    }
}

/// Whether a line begins with a word, whatever the case of its letters.
fn begins(line: &[u8], word: &str) -> bool {
    let start = line.get(..word.len());
    let is_end = !line.get(word.len()).is_some_and(u8::is_ascii_alphanumeric);
    is_end && start.is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a word stands in a line for itself.
fn has_word(line: &[u8], word: &str) -> bool {
    line.split(|byte| !byte.is_ascii_alphanumeric())
        .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// An address as RFC 5321 has it in the place of a host's name.
fn literal(own: Option<IpAddr>) -> String {
    match own.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(ip)) => format!("[{ip}]"),
        Some(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        None => "[127.0.0.1]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_judged() {
        use Said::{More, No, Yes};
        let code = Reply::Code(&["220"]);
        #[rustfmt::skip]
        let rows = [
            (code, "220 ready", "220 ready", Yes),
            (code, "220", "220", Yes),
            (code, "220-a", "220-a", More),
            (code, "220-a", "free text", More),
            (code, "220-a", "221 other", More),
            (code, "220-a", "220 end", Yes),
            (code, "454 no", "454 no", No),
            (code, "454-no", "454 no", No),
            (code, "2200", "2200", No),
            (code, "22", "22", No),
            (code, "", "", No),
            (code, "SSH-2.0", "SSH-2.0", No),
            (Reply::Begins("+OK"), "", "+ok go", Yes),
            (Reply::Begins("+OK"), "", "+OKAY", No),
            (Reply::Begins("* OK"), "", "* PREAUTH", No),
            (Reply::Tagged("a1"), "", "* CAPABILITY IMAP4rev1", More),
            (Reply::Tagged("a1"), "", "* BYE", No),
            (Reply::Tagged("a1"), "", "a1 ok Begin", Yes),
            (Reply::Tagged("a1"), "", "a1 BAD no", No),
            (Reply::Tagged("a1"), "", "a11 OK", No),
            (Reply::Capabilities, "", "\"STARTTLS\"", More),
            (Reply::Capabilities, "", "OK \"go\"", Yes),
            (Reply::Capabilities, "", "NO", No),
            (Reply::Numeric("670"), "", ":irc.test NOTICE * :*** Looking up", More),
            (Reply::Numeric("670"), "", "NOTICE AUTH :***", More),
            (Reply::Numeric("670"), "", ":irc.test 670 * :STARTTLS successful", Yes),
            (Reply::Numeric("670"), "", ":irc.test 691 * :no", No),
            (Reply::Numeric("670"), "", "", No),
        ];
        for (reply, first, line, want) in rows {
            assert_eq!(
                reply.judge(first.as_bytes(), line.as_bytes()),
                want,
                "{reply:?} {line}"
            );
        }
    }

    #[test]
    fn addresses_stand_for_names() {
        assert_eq!(literal(Some([192, 0, 2, 1].into())), "[192.0.2.1]");
        assert_eq!(literal("2001:db8::1".parse().ok()), "[IPv6:2001:db8::1]");
        assert_eq!(literal("::ffff:192.0.2.1".parse().ok()), "[192.0.2.1]");
    }

    #[test]
    fn offers_are_words() {
        assert!(has_word(b"250-starttls", "STARTTLS"));
        assert!(has_word(b"\"STARTTLS\"", "STARTTLS"));
        assert!(!has_word(b"250-NOSTARTTLS", "STARTTLS"));
    }
}
