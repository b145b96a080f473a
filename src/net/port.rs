//! Ports by number or by service name, as Go's `net.LookupPort` reads them.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::{Deadline, TimedOut, file};
use crate::shortage::Resource;

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Why a text is no port; the texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// A number outside 0 to 65535.
    #[error("address {0}: invalid port")]
    Invalid(String),
    /// A service that neither the list nor `/etc/services` knows.
    #[error("lookup {text}/{1}: unknown port", text = .0.name())]
    Unknown(Protocol, String),
    /// The deadline, while `/etc/services` was read.
    #[error("reading /etc/services: {0}")]
    Unread(TimedOut),
}

/// The services that are known without a list, because a container image often has none.
const SERVICES: [(&str, Protocol, u16); 15] = [
    ("domain", Protocol::Udp, 53),
    ("ftp", Protocol::Tcp, 21),
    ("ftps", Protocol::Tcp, 990),
    ("gopher", Protocol::Tcp, 70),
    ("http", Protocol::Tcp, 80),
    ("https", Protocol::Tcp, 443),
    ("imap2", Protocol::Tcp, 143),
    ("imap3", Protocol::Tcp, 220),
    ("imaps", Protocol::Tcp, 993),
    ("pop3", Protocol::Tcp, 110),
    ("pop3s", Protocol::Tcp, 995),
    ("smtp", Protocol::Tcp, 25),
    ("submissions", Protocol::Tcp, 465),
    ("ssh", Protocol::Tcp, 22),
    ("telnet", Protocol::Tcp, 23),
];

/// As [`lookup`], with the list of services read on another thread.
///
/// # Errors
/// Those of [`lookup`], and the deadline.
pub async fn find(text: &str, protocol: Protocol, deadline: Deadline) -> Result<u16, PortError> {
    if let Some(number) = number(text) {
        return number;
    }
    let services = match SYSTEM.get() {
        Some(services) => Some(services),
        None => {
            let read = deadline.within(file::apart(services));
            // Without the thread there is the list that is built in.
            read.await.map_err(PortError::Unread)?.ok().flatten()
        }
    };
    named(text, protocol, services)
}

/// The port that `text` names. An empty text is port 0; blanks and a sign in front of a number are read, as by the C library
/// that Go asks.
///
/// # Errors
/// A number out of range, an unknown service.
pub fn lookup(text: &str, protocol: Protocol) -> Result<u16, PortError> {
    if let Some(number) = number(text) {
        return number;
    }
    named(text, protocol, services())
}

/// The port of a service of the list, or of the built-in one.
fn named(text: &str, protocol: Protocol, services: Option<&Services>) -> Result<u16, PortError> {
    let name = text.to_ascii_lowercase();
    let port = match services {
        Some(services) => services.get(&(protocol, name.as_str())).copied(),
        None => {
            let known = SERVICES
                .iter()
                .find(|known| (known.1, known.0) == (protocol, &name));
            known.map(|known| known.2)
        }
    };
    port.ok_or_else(|| PortError::Unknown(protocol, text.to_owned()))
}

/// The port, if the text is a number.
fn number(text: &str) -> Option<Result<u16, PortError>> {
    let trimmed = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    // Blanks without a number are the name of a service that nobody has.
    if digits.is_empty() && trimmed.len() < text.len() {
        return None;
    }
    if digits.bytes().all(|digit| digit.is_ascii_digit()) {
        let negative = trimmed.starts_with('-');
        // An empty text or a lone sign is 0; a number too long to be read is too large in any case.
        let number = if digits.is_empty() {
            0
        } else {
            digits.parse::<u64>().unwrap_or(u64::MAX)
        };
        let port = u16::try_from(number)
            .ok()
            .filter(|port| !negative || *port == 0)
            .ok_or_else(|| PortError::Invalid(text.to_owned()));
        return Some(port);
    }
    None
}

type Services = HashMap<(Protocol, &'static str), u16>;

static SYSTEM: OnceLock<Services> = OnceLock::new();

/// The system's list of services over the built-in one; read once, as Go does. `None` when this machine has no files or memory left to
/// read it.
fn services() -> Option<&'static Services> {
    if let Some(services) = SYSTEM.get() {
        return Some(services);
    }
    let list = match std::fs::read_to_string("/etc/services") {
        Err(error) if Resource::of("open", &error).is_some() => return None,
        list => list.unwrap_or_default(),
    };
    Some(SYSTEM.get_or_init(|| {
        let mut services: Services = SERVICES
            .iter()
            .map(|(name, protocol, port)| ((*protocol, *name), *port))
            .collect();
        for (protocol, name, port) in parse(list.leak()) {
            services.insert((protocol, name), port);
        }
        services
    }))
}

/// The entries of an `/etc/services`: `http 80/tcp www # comment`.
fn parse(list: &str) -> impl Iterator<Item = (Protocol, &str, u16)> {
    list.lines().flat_map(|line| {
        let mut fields = line.split('#').next().unwrap_or("").split_ascii_whitespace();
        let name = fields.next();
        let (port, protocol) = fields
            .next()
            .and_then(|field| field.split_once('/'))
            .unwrap_or_default();
        let port = port.parse().ok().filter(|port| *port > 0);
        let protocol = match protocol {
            "tcp" => Some(Protocol::Tcp),
            "udp" => Some(Protocol::Udp),
            _ => None,
        };
        let entry = protocol.zip(port);
        name.into_iter()
            .chain(fields)
            .filter_map(move |name| entry.map(|(protocol, port)| (protocol, name, port)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        let unknown = |name: &str| Err(PortError::Unknown(Protocol::Tcp, name.to_owned()));
        let invalid = |number: &str| Err(PortError::Invalid(number.to_owned()));
        let rows: &[(&str, Result<u16, PortError>)] = &[
            ("80", Ok(80)),
            ("0080", Ok(80)),
            ("+80", Ok(80)),
            ("-0", Ok(0)),
            ("", Ok(0)),
            ("65535", Ok(65535)),
            ("65536", invalid("65536")),
            ("99999999999999999999999", invalid("99999999999999999999999")),
            ("-1", invalid("-1")),
            ("smtp", Ok(25)),
            ("HTTPS", Ok(443)),
            ("nosuchservice", unknown("nosuchservice")),
            ("80/", unknown("80/")),
            (" 80", Ok(80)),
            ("\t +80", Ok(80)),
            ("80 ", unknown("80 ")),
            (" ", unknown(" ")),
            (" smtp", unknown(" smtp")),
        ];
        for (text, want) in rows {
            assert_eq!(lookup(text, Protocol::Tcp), *want, "{text:?}");
        }
        assert_eq!(lookup("domain", Protocol::Udp), Ok(53));
        // What is known without a list.
        assert_eq!(named("SMTP", Protocol::Tcp, None), Ok(25));
        assert_eq!(named("ntp", Protocol::Tcp, None), unknown("ntp"));
    }

    #[test]
    fn lists_of_services() {
        let list = "# comment\nhttp 80/tcp www www-http # World Wide Web\nntp\t123/udp\nbad\nworse 0/tcp\nsctp 5/sctp\n";
        let entries: Vec<_> = parse(list).collect();
        assert_eq!(
            entries,
            [
                (Protocol::Tcp, "http", 80),
                (Protocol::Tcp, "www", 80),
                (Protocol::Tcp, "www-http", 80),
                (Protocol::Udp, "ntp", 123)
            ]
        );
    }
}
