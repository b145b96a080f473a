//! DNS responses that are invalid or do not match the module.

use super::connect::{other_family, prohibited, unreachable};
use super::nearest::nearest;
use super::{Facts, name, quoted};
use crate::check::Regexp;
use crate::check::regexp::SHORT;
use crate::config::dns_names::type_name;
use crate::module::{Dns, DnsTransport};
use crate::net::dns::CarryError;
use crate::prober::dns::error::DnsError;
use miekg_dns::Message;

/// Who was asked for what, and how.
#[derive(Clone, Copy)]
pub(in crate::prober) struct Asked<'a> {
    pub server: &'a str,
    pub port: &'a str,
    /// The path of DNS over HTTPS.
    pub path: &'a str,
    pub name: &'a str,
    pub module: &'a Dns,
    pub transport: DnsTransport,
}

impl Asked<'_> {
    /// Whether the query was repeated over TCP because the response was truncated.
    fn is_repeated(&self) -> bool {
        self.transport == DnsTransport::Tcp && self.module.transport() == Some(DnsTransport::Udp)
    }

    /// The command that asks the same, with these options besides.
    fn command(&self, options: &str) -> String {
        let number = self.module.query_type;
        let kind = type_name(number).map_or_else(|| format!("TYPE{number}"), str::to_owned);
        let (program, over) = match self.transport {
            // For this type, dig asks over TCP by itself.
            DnsTransport::Udp if kind == "ANY" => ("dig", " +notcp".to_owned()),
            DnsTransport::Udp => ("dig", String::new()),
            DnsTransport::Tcp if self.module.tls.is_some() => ("dig", " +tls".to_owned()),
            DnsTransport::Tcp => ("dig", " +tcp".to_owned()),
            DnsTransport::Https => ("dig", format!(" +https={}", name(self.path))),
            // Only that of Knot DNS has it.
            DnsTransport::Quic => ("kdig", " +quic".to_owned()),
        };
        format!(
            "{program} @{} -p {}{over}{options} {} {kind}",
            name(self.server),
            name(self.port),
            name(self.name)
        )
    }
}

/// A response code that is not valid.
pub(in crate::prober) fn rcode(answer: &Message, of: &Asked<'_>) -> String {
    let rcode = answer.rcode;
    let (asked, module) = (name(of.name), of.module);
    if let (2 | 5, Some(why)) = (rcode, explanation(answer)) {
        return match rcode {
            2 => format!(
                "The server could not resolve {asked}, and says why: {why}. Compare `{}`.",
                of.command(" +cd")
            ),
            _ => format!("The server refuses to resolve {asked}, and says why: {why}."),
        };
    }
    match rcode {
        0 => format!("{asked} exists, and valid_rcodes expects that it does not."),
        1 => "The server does not understand the query (FORMERR): an old server, or a server that is not a name server.".to_owned(),
        2 => format!("The server could not resolve {asked} (SERVFAIL): the zone's own servers do not respond, or DNSSEC validation failed; compare `{}`.", of.command(" +cd")),
        3 => format!("{asked} does not exist on this server (NXDOMAIN): check the spelling, and whether the server has the zone; valid_rcodes: [NXDOMAIN] accepts it."),
        4 => format!("The server does not support this type of query (NOTIMP), {}.", module.query_type),
        5 => format!("The server refuses (REFUSED): it does not serve the zone of {asked}, or no recursion to this host's address."),
        _ => format!("The response code is {rcode}, which valid_rcodes does not list."),
    }
}

/// The extended error of a response (RFC 8914): number, name and text. Servers send it to queries with EDNS.
fn explanation(answer: &Message) -> Option<String> {
    const HEAD: &[u8] = b"; EDE: ";
    let mut lines = answer
        .additional
        .iter()
        .flat_map(|record| record.text.split(|byte| *byte == b'\n'));
    lines.find_map(|line| line.strip_prefix(HEAD)).map(quoted)
}

/// A response without a record to look at.
pub(in crate::prober) fn no_records(of: &Asked<'_>, section: &str) -> String {
    format!(
        "The {section} section has no records at all: {} has none of that type, or the server only refers to others (recursion_desired). `{}`",
        name(of.name),
        of.command("")
    )
}

/// A record that should have matched.
pub(in crate::prober) fn mismatch(regexp: &Regexp, record: &[u8]) -> String {
    let mut line = format!(
        "Expected {}; {}.",
        quoted(regexp.source().as_bytes()),
        nearest(regexp, record)
    );
    let spaced: Vec<u8> = record
        .iter()
        .map(|b| if *b == b'\t' { b' ' } else { *b })
        .collect();
    if record.len() <= SHORT && regexp.is_match(&spaced) {
        line = format!(
            "Expected {}; the record is {}: the fields of a record are separated by tabs, not blanks; \\s+ matches both.",
            quoted(regexp.source().as_bytes()),
            quoted(record)
        );
    }
    line
}

/// A record that should not have matched.
pub(in crate::prober) fn unwanted(source: &str, record: &[u8]) -> String {
    format!(
        "{} must match no record, and matches {}.",
        quoted(source.as_bytes()),
        quoted(record)
    )
}

/// None of the records will do.
pub(in crate::prober) fn none(sources: &[&str], record: &[u8]) -> String {
    let sources: Vec<String> = sources
        .iter()
        .take(5)
        .map(|source| quoted(source.as_bytes()))
        .collect();
    format!(
        "No record matches {}; the first is {}.",
        sources.join(" or "),
        quoted(record)
    )
}

/// No response, or one that cannot be used.
pub(in crate::prober) fn no_response(facts: &Facts, error: &DnsError, of: &Asked<'_>) -> Option<String> {
    let (server, asked) = (name(of.server), name(of.name.trim_end_matches('.')));
    let (over, port, command) = (of.transport.name(), name(of.port), of.command(""));
    if matches!(error, DnsError::Carry(_) | DnsError::TimedOut { .. })
        && server.trim_end_matches('.').eq_ignore_ascii_case(&asked)
    {
        return Some(format!(
            "The target of the prober dns is the name server, not the name to query: {server} is probably not a name server. query_name is the name to query."
        ));
    }
    if let DnsError::Carry(error) = error
        && let Some(line) = error.of_connection().and_then(super::tls::after)
    {
        return Some(line);
    }
    Some(match error {
        DnsError::Carry(CarryError::Receive(error) | CarryError::Send(error))
            if error.raw_os_error() == Some(libc::ECONNREFUSED) =>
        {
            format!(
                "{server} is up and refuses: no name server listens on that port there, or a firewall rejects (ICMP port unreachable). On that host: `ss -lun 'sport = :{port}'`."
            )
        }
        DnsError::Carry(CarryError::Receive(error) | CarryError::Send(error))
            if let Some(code @ (libc::EHOSTUNREACH | libc::ENETUNREACH)) = error.raw_os_error() =>
        {
            unreachable(code, &server, other_family(facts))
        }
        DnsError::Carry(CarryError::Receive(error) | CarryError::Send(error))
            if let Some(line) =
                (error.raw_os_error()).and_then(|code| prohibited(code, &server, other_family(facts))) =>
        {
            line
        }
        DnsError::TimedOut { strays: 1.., .. } => format!(
            "{server} responded, but with other identifiers than the query's: something between rewrites responses, or forges them."
        ),
        DnsError::TimedOut { .. } if of.is_repeated() => format!(
            "{server} responded over UDP that the response is too long for it (TC), and not over TCP: a firewall drops TCP port {port}, or the server does not serve TCP. `{command}`"
        ),
        DnsError::TimedOut { .. } => {
            let also = match over {
                "udp" => other_family(facts).map_or(String::new(), |also| format!(" {also}.")),
                _ => String::new(),
            };
            let shares = match (of.module.retries, over) {
                (0, _) | (_, "udp") => "",
                _ => " Of the timeout each attempt has a share (retries): on a slow line raise it.",
            };
            format!(
                "No response over {over}: {server} is not a name server, does not serve this host's address, or a firewall drops port {port}.{shares}{also} `{command}`"
            )
        }
        DnsError::Carry(CarryError::Status { status, .. }) => format!(
            "{server} responds to DNS queries with the HTTP status {status}: the path in the URL or https.path is another there, or it does not serve this host's address. `{command}`"
        ),
        DnsError::Carry(CarryError::ContentType(_) | CarryError::TooLong) => format!(
            "{server} responds with something else than a DNS message: the path in the URL or https.path is another there, or a proxy or a login page responds. `{command}`"
        ),
        DnsError::Carry(_) => format!(
            "{server} gave no response over {over}: it does not serve this host's address, or not over {over}. `{command}`"
        ),
        DnsError::Cut { .. } => {
            "The response is longer than a datagram may be: set transport_protocol: tcp.".to_owned()
        }
        DnsError::Read(_) | DnsError::Stray { .. } => format!(
            "What {server} sent is not a DNS response to this query: another service listens there. `{command}`"
        ),
        DnsError::Name(_) => {
            format!("query_name {asked} cannot be queried: no label may be empty or longer than 63 bytes.")
        }
        DnsError::Connect(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::{self, Kind};

    #[test]
    fn the_command_asks_the_same() {
        let rows = [
            ("query_type: A", "dig @9.9.9.9 -p 53 a.test A"),
            ("recursion_desired: true", "dig @9.9.9.9 -p 53 +notcp a.test ANY"),
            (
                "query_type: A, transport_protocol: tcp",
                "dig @9.9.9.9 -p 53 +tcp a.test A",
            ),
            (
                "query_type: A, transport_protocol: tcp, dns_over_tls: true",
                "dig @9.9.9.9 -p 53 +tls a.test A",
            ),
            (
                "query_type: A, transport_protocol: https",
                "dig @9.9.9.9 -p 53 +https=/q a.test A",
            ),
            (
                "query_type: A, transport_protocol: quic",
                "kdig @9.9.9.9 -p 53 +quic a.test A",
            ),
        ];
        for (settings, want) in rows {
            let text = format!("modules: {{m: {{prober: dns, dns: {{query_name: a.test, {settings}}}}}}}");
            let loaded = module::parse(text, "test").unwrap();
            let Kind::Dns(module) = &loaded.modules.get("m").unwrap().kind else {
                panic!("{settings}");
            };
            let asked = Asked {
                server: "9.9.9.9",
                port: "53",
                path: "/q",
                name: "a.test",
                module,
                transport: module.transport().unwrap(),
            };
            assert_eq!(asked.command(""), want);
        }
    }
}
