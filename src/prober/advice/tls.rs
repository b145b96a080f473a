//! TLS that was not agreed on.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::{name, quoted};
use crate::calendar::unix_now;
use crate::display::{age, short, validity};
use crate::module::Kind;
use crate::net::quic;
use crate::net::tls::facts::{Certificate, TlsFacts};
use crate::net::tls::{HandshakeError, Seen, TlsError, UNANSWERED, alert_of};
use crate::net::x509::{Hint, Purpose, VerifyError};

/// What a server wants that refuses the client's certificate, or has got none.
const CERTIFICATE: &str = "The server does not accept this client's certificate, or demands one that was not sent: set cert_file and key_file in tls_config to a certificate that the server's CA signed.";

/// A certificate that nobody presented is one of those that are trusted.
const EXPIRED_CA: &str = "A trusted CA certificate has expired: bring ca_file, or this host's package ca-certificates, up to date. If it is new: the clock of this host is wrong (`date -u`).";

/// Why a handshake does not go on although the connection was made: its messages fill whole packets.
pub(super) const LOST: &str = "large packets are lost on the way (MTU): `tracepath -n HOST`";

/// How many names a line lists.
const NAMES: usize = 5;

/// How a target is probed without TLS.
pub(in crate::prober) fn without(kind: &Kind) -> &'static str {
    match kind {
        Kind::Http(_) => "use http:// instead of https://",
        Kind::Websocket(_) => "use ws:// instead of wss://",
        Kind::Dns(_) => "use another transport_protocol, without dns_over_tls",
        Kind::Tcp(_) | Kind::Unix(_) | Kind::Grpc(_) | Kind::Icmp(_) => "set tls: false in the module",
    }
}

/// The advice for a handshake that failed. `without` is what does without TLS.
pub(in crate::prober) fn advice(failed: &HandshakeError, without: &str) -> Option<String> {
    if let TlsError::Verification(error) = &failed.error {
        return verification(error, failed.facts.as_ref()?);
    }
    if let Some(line) = alone(&failed.error) {
        return Some(line);
    }
    Some(match &failed.seen {
        Seen::Nothing => {
            return match &failed.error {
                TlsError::TimedOut { progress, .. } if *progress == UNANSWERED => Some(format!("The port accepts connections and does not respond to a TLS greeting: it speaks another protocol that waits for the client, the service hangs, or {LOST}.")),
                TlsError::TimedOut { .. } => Some(format!("The server responds in TLS, and the handshake did not end in time: compare the durations of the phases. If connecting took long as well, the line is slow; if not, the server hangs, or {LOST}.")),
                _ => None,
            };
        }
        Seen::Closed => "The server closed the connection when TLS began: it does not speak TLS on this port, expects the PROXY protocol, or does not serve this host's address or the name that was sent (SNI). Try `openssl s_client -connect HOST:PORT -servername NAME`.".to_owned(),
        Seen::Foreign(bytes) => foreign(bytes, without),
        Seen::TooOld(version) => format!(
            "The server speaks nothing newer than {}; this exporter speaks TLS 1.2 and TLS 1.3. Bring the server up to date.",
            version.unwrap_or("an old version of TLS")
        ),
        Seen::Alert(code) => return alert(*code, failed.facts.is_some()),
    })
}

/// The same once the server has agreed to begin TLS.
pub(in crate::prober) fn after_starttls(failed: &HandshakeError) -> Option<String> {
    match &failed.error {
        TlsError::TimedOut { progress, .. } if *progress == UNANSWERED => Some(format!(
            "The server responded before TLS began, and not to the TLS greeting: {LOST}, or the service hangs."
        )),
        _ => advice(failed, "leave starttls out"),
    }
}

/// What the error alone tells: files and values of `tls_config` that cannot be used, and QUIC without an answer.
pub(in crate::prober) fn alone(error: &TlsError) -> Option<String> {
    match error {
        // Nobody says that there is no QUIC where another protocol listens, or a firewall drops.
        TlsError::TimedOut { progress, .. } if *progress == quic::UNFINISHED => Some(
            "Nothing came back over UDP: the server has no QUIC on this port, or a firewall drops UDP. Try whether it responds over TCP (http: without enable_http3; dns: transport_protocol: tcp with dns_over_tls: true, or without https.enable_http3).".to_owned(),
        ),
        TlsError::File { path, .. } => Some(format!(
            "{} cannot be used as the module's tls_config names it: it must be PEM, with BEGIN CERTIFICATE. `head -1 {0}`",
            name(path)
        )),
        TlsError::Config(why) | TlsError::Unreadable(why) => Some(format!(
            "tls_config of the module cannot be used, so that nothing was sent: {}. The exporter's user must be able to read its files, and certificate and key must belong together: compare `openssl x509 -noout -pubkey -in CERT` with `openssl pkey -pubout -in KEY`.",
            short(why, 600)
        )),
        TlsError::NoRoots(unread) => unread.resource().map(super::shortage),
        _ => None,
    }
}

/// What answers in the clear where TLS is expected.
fn foreign(bytes: &[u8], without: &str) -> String {
    if super::is_http(bytes) {
        return format!("The port responds in plain HTTP: {without}, or use the port that has TLS.");
    }
    if super::is_http2(bytes) {
        return format!("The port speaks HTTP/2 in the clear: {without}, or use the port that has TLS.");
    }
    if let Some(line) = super::greeting(bytes) {
        return line;
    }
    let starts = |start: &[u8]| bytes.starts_with(start);
    if starts(b"220") || starts(b"* OK") || starts(b"+OK") {
        return format!(
            "The server greets in the clear, {}: TLS begins later there. Use a module with prober: tcp and starttls, or the port that begins with TLS (465, 993, 995).",
            quoted(bytes)
        );
    }
    format!(
        "The port does not speak TLS, it sent {}: {without}, or use the port that has TLS.",
        quoted(bytes)
    )
}

/// What a peer wants that ended a connection on which TLS was agreed: with TLS 1.3 it says only then that it demands a certificate.
pub(super) fn after(error: &io::Error) -> Option<String> {
    alert_of(error).and_then(after_handshake)
}

/// The same, of an alert.
pub(super) fn after_handshake(code: u8) -> Option<String> {
    alert(code, true)
}

/// What a peer wants that ends the connection so; `agreed` once it has presented its certificate.
fn alert(code: u8, agreed: bool) -> Option<String> {
    Some(match code {
        116 => "The server demands a client certificate: set cert_file and key_file in tls_config.".to_owned(),
        42..=46 | 48 | 49 => CERTIFICATE.to_owned(),
        40 if agreed => CERTIFICATE.to_owned(),
        40 | 71 => "Client and server have no cipher suite, group or signature algorithm in common, or the server demands a client certificate. Compare with `openssl s_client -connect HOST:PORT`.".to_owned(),
        70 => "Client and server have no TLS version in common: this exporter speaks TLS 1.2 and TLS 1.3, as far as min_version and max_version of tls_config allow.".to_owned(),
        112 => "The server has no certificate for the name that was sent (SNI), or for clients that send none, as for an address: set server_name in tls_config to a name that it serves.".to_owned(),
        120 => "The server does not speak the protocol that was offered (ALPN): it has no HTTP/2 (gRPC), no HTTP/3 or no DNS over QUIC on this port.".to_owned(),
        _ => return None,
    })
}

fn verification(error: &VerifyError, facts: &TlsFacts) -> Option<String> {
    let leaf = facts.presented.first()?;
    Some(match error {
        VerifyError::Expired { not_after, .. } => {
            let Some(which) = facts.presented.iter().find(|c| c.not_after == *not_after) else {
                return Some(EXPIRED_CA.to_owned());
            };
            let (_, since) = validity(which.not_before, which.not_after, unix_now());
            let whose = if std::sync::Arc::ptr_eq(which, leaf) { "The server's certificate" } else { "A certificate above the server's" };
            format!(
                "{whose}, {}, {since}: renew it, and reload the server, which may still use the old file. If it is new: the clock of this host is wrong (`date -u`).",
                name(&which.subject())
            )
        }
        VerifyError::NotYetValid { not_before, .. } => {
            let wait = u64::try_from(not_before.saturating_sub(unix_now())).unwrap_or(0);
            let which = facts.presented.iter().find(|c| c.not_before == *not_before).unwrap_or(leaf);
            format!(
                "The certificate {} becomes valid in {}: the clock of this host is behind (`date -u`), or that of the CA was ahead.",
                name(&which.subject()),
                age(Duration::from_secs(wait))
            )
        }
        VerifyError::Hostname(mismatch) => hostname(leaf, mismatch.host()),
        VerifyError::UnknownAuthority(hint) => untrusted(facts, hint.as_deref()),
        VerifyError::SystemRoots(_) => "This host has no CA certificates: install the package ca-certificates, mount /etc/ssl/certs, or set ca_file in tls_config.".to_owned(),
        VerifyError::IncompatibleUsage => match facts.presented.iter().find(|c| !c.allows(Purpose::Server)) {
            Some(which) => format!("The certificate {} is not meant for servers (extended key usage): issue one for serverAuth.", name(&which.subject())),
            None => "A CA certificate in ca_file, or of this host, is not meant for servers (extended key usage): use another CA.".to_owned(),
        },
        VerifyError::NotAuthorizedToSign => "A certificate of the chain is no CA certificate: the server presents the wrong file as its chain.".to_owned(),
        VerifyError::ConstrainedName(_) => "The CA may not issue certificates for this name (name constraints): another CA of yours may.".to_owned(),
        VerifyError::TooManyIntermediates => "The chain is complete, and longer than one of its CAs allows (path length): have the certificate issued by a CA further up, or the CA without that limit.".to_owned(),
        VerifyError::UnhandledCriticalExtension => "A certificate of the chain has a critical extension that this exporter does not know, and so must not accept (RFC 5280, section 4.2): issue it without, or not as critical.".to_owned(),
        VerifyError::NoValidChains(_) => "The chain ends at a trusted CA, and one of its CAs limits what may be issued below it (certificate policies, extended key usage): the error says what.".to_owned(),
        _ => return None,
    })
}

fn hostname(leaf: &Certificate, wanted: &str) -> String {
    let names: Vec<String> = leaf
        .dns_names()
        .map(name)
        .chain(leaf.ip_addresses().map(|ip| ip.to_string()))
        .take(NAMES + 1)
        .collect();
    let wanted = name(wanted);
    if names.first().is_none_or(String::is_empty) {
        return format!(
            "The certificate {} has no names at all, only a common name, which has not counted for years: issue one with a subject alternative name {wanted}.",
            name(&leaf.subject())
        );
    }
    if wanted.parse::<IpAddr>().is_ok() && leaf.dns_names().any(|other| other == wanted) {
        return format!(
            "The certificate has {wanted} as a DNS name, which does not count for an address: issue one that has it as an IP address among the subject alternative names."
        );
    }
    // What a name with a wildcard elsewhere covers is nothing, and what one with a wildcard covers is anybody's guess.
    let other = match names.iter().find(|name| !name.contains('*')) {
        Some(example) => format!("server_name: {example} in tls_config (or the parameter hostname)"),
        None => "server_name in tls_config (or the parameter hostname), the name that clients use".to_owned(),
    };
    let list = listed(&names);
    match wanted.parse::<IpAddr>() {
        Ok(_) => format!(
            "The certificate is for {list}, not for {wanted}: set {other}, or have a certificate issued for {wanted}. The server may also have chosen its default certificate."
        ),
        Err(_) => format!(
            "To clients of {wanted} the server presents a certificate for {list}: they fail like this probe. Have it present one for {wanted}; it may have chosen its default certificate. Only if clients use another name, set {other}."
        ),
    }
}

fn listed(names: &[String]) -> String {
    match names.get(..NAMES) {
        Some(first) if names.len() > NAMES => format!("{}, …", first.join(", ")),
        _ => names.join(", "),
    }
}

fn untrusted(facts: &TlsFacts, hint: Option<&Hint>) -> String {
    let (Some(leaf), Some(top)) = (facts.presented.first(), facts.top()) else {
        return String::new();
    };
    let subject = name(&leaf.subject());
    if leaf.is_self_issued() {
        return format!(
            "The certificate {subject} is self-signed: if it is the right one, save it and name it in ca_file of tls_config. A proxy that inspects TLS may also have replaced the server's."
        );
    }
    if top.is_self_issued() {
        return format!(
            "The chain ends with {}, which is not trusted here: a private CA. Name its certificate in ca_file of tls_config, if it is yours.",
            name(&top.subject())
        );
    }
    if let Some(hint) = hint {
        return format!(
            "The certificate that is known here under the issuer's name does not do{hint}: it is another one of that name, no CA's, or signed with an algorithm that no longer counts."
        );
    }
    let sent = match facts.presented.len() {
        1 => "one certificate, its own".to_owned(),
        count => format!("{count} certificates"),
    };
    let place = top.issuer_urls().next();
    let issuer = name(&top.issuer());
    match place {
        Some(url) => format!(
            "The server sent {sent}; the certificate of the issuer, {issuer}, is missing. Browsers fetch it from {}, this exporter does not. Configure the server with the full chain.",
            name(&url)
        ),
        None => format!(
            "The server sent {sent}; the issuer, {issuer}, is neither among them nor trusted here: configure the server with the full chain, or, for a private CA, name its certificate in ca_file of tls_config."
        ),
    }
}
