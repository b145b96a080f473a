//! What to do about a failed probe: one line made for the case, from the facts of the failure.
//!
//! A prober hands its typed error to the functions of this room where it gives up, and [`Probe::advise`] keeps the line.
//! A probe that succeeds makes none.

pub(super) mod connect;
pub(super) mod dialogue;
pub(super) mod dns;
mod general;
pub(super) mod grpc;
pub(super) mod http;
pub(super) mod icmp;
pub(super) mod nearest;
pub(super) mod resolve;
mod source;
pub(super) mod target;
pub(super) mod tls;
mod waiting;
pub(super) mod websocket;

use std::net::IpAddr;
use std::time::Duration;

pub(super) use source::lacks_interface;

use super::{Answer, Failure, Probe};
use crate::display::{duration, short};
use crate::net::Deadline;
use crate::reason::Reason;
use crate::shortage::Resource;

/// Most characters of a text from outside that a line quotes.
const QUOTED: usize = 200;

/// How long after its timeout a probe of an exporter ends that was stopped meanwhile: one that runs is never as late.
const STOPPED: Duration = Duration::from_secs(1);

/// What is known of a probe's target beyond the address that was dialled, and the advice so far.
#[derive(Debug, Default)]
pub struct Facts {
    /// The best address of the family that was not chosen.
    pub(super) other_family: Option<IpAddr>,
    /// Whether the peer has said what a dialogue waits for since the last handshake.
    pub(super) has_spoken: bool,
    /// What the last thing that went wrong calls for.
    line: Option<String>,
}

/// An address as `ip route get` reads it.
fn routed(address: &str) -> String {
    address.replacen('%', " oif ", 1)
}

/// What in this host keeps packets from an address.
fn barred(code: i32, ip: &str) -> Option<String> {
    let family = if ip.contains(':') { "-6" } else { "-4" };
    Some(match code {
        libc::EACCES => format!(
            "A route of this host or the sandbox of the exporter prohibits {ip}{}: `ip {family} route show match {ip}`.",
            // Of IPv6, Linux tells a firewall's rejection so.
            match family {
                "-6" => ", or a firewall on the way rejects it as \"administratively prohibited\"",
                _ => "",
            }
        ),
        libc::EINVAL => format!(
            "A blackhole route of this host discards what is sent to {ip}: `ip {family} route show match {ip}`."
        ),
        libc::EPERM => format!(
            "This host's own firewall, or the sandbox of the exporter, forbids sending to {ip}: look at `nft list ruleset` and network policies."
        ),
        _ => return None,
    })
}

impl Facts {
    /// Keeps the advice for what just failed, if there is any.
    pub(super) fn set(&mut self, line: impl Into<Option<String>>) {
        if let Some(line) = line.into() {
            self.line = Some(line);
        }
    }

    /// Takes the advice, to keep it while something else is tried.
    pub(super) fn take(&mut self) -> Option<String> {
        self.line.take()
    }

    /// Forgets the advice: what it was for has been overcome.
    pub(super) fn forget(&mut self) {
        self.line = None;
    }
}

impl Probe<'_> {
    /// Keeps the advice for what just failed, if there is any, unless a cause below it has left one.
    pub(super) fn advise_else(&mut self, line: impl Into<Option<String>>) {
        if self.attempt.facts.line.is_none() {
            self.advise(line);
        }
    }

    /// Keeps the advice for what just failed, if there is any.
    pub(super) fn advise(&mut self, line: impl Into<Option<String>>) {
        self.attempt.facts.set(line);
    }
}

/// The advice for what the exporter's own policy forbids.
pub(super) fn policy() -> String {
    "The exporter's own policy forbids this; nothing was sent. Change policy: in the configuration if the target is meant to be allowed, and see what it resolves to: `getent ahosts HOST`."
        .to_owned()
}

/// This host has none left of something.
fn shortage(resource: Resource) -> String {
    format!(
        "This host has run out of {}; the target was not judged: {}.",
        resource.name(),
        resource.advice()
    )
}

/// The advice for a probe that failed.
pub(super) fn conclude(probe: &mut Probe<'_>, failure: Failure) -> String {
    // A target that is none explains whatever came of it.
    let line = target::mistake(&probe.module.kind, probe.target).unwrap_or_else(|| {
        let line = probe.attempt.facts.line.take();
        let line = waiting::slow_line(probe, failure).or(line);
        let line = certificate(probe, failure).or(line);
        let line = line.or_else(|| waiting::longest(probe));
        let line = line.unwrap_or_else(|| general::line(failure.reason).to_owned());
        match http::redirected(&probe.module.kind, failure, probe.timeline.attempt()) {
            Some(whence) => format!("{whence} {line}"),
            None => line,
        }
    });
    match source::perhaps_interface(probe, failure) {
        Some(perhaps) => format!("{line} {perhaps}"),
        None => line,
    }
}

/// The peer ended a connection in which it had asked for a certificate: some servers do without an alert.
fn certificate(probe: &Probe<'_>, failure: Failure) -> Option<String> {
    let hop = probe.timeline.attempt().last()?;
    let is_ended = matches!(failure.reason, Reason::PeerClosed | Reason::ConnectReset);
    // A status of gRPC may be made here: that of a broken connection.
    let is_answered = matches!(hop.answer, Some(Answer::Http { .. }));
    let has_spoken = is_answered || probe.attempt.facts.has_spoken;
    let lacks = hop.tls.as_ref()?.lacks_certificate;
    (is_ended && !has_spoken && lacks).then(|| {
        "The server closed the connection after it had asked for a client certificate, and none was sent: set cert_file and key_file in tls_config to a certificate that the server's CA signed.".to_owned()
    })
}

/// What comes before the advice for a probe that ended long after its timeout: the response may have come in time.
pub(super) fn stopped(deadline: Deadline) -> Option<String> {
    let late = deadline.at().elapsed();
    (late >= STOPPED).then(|| {
        format!(
            "The exporter itself did not run, and ended the probe {} after its timeout: it was paused or throttled (the CPU limit of its cgroup, a frozen cgroup, a suspended machine), or is overloaded. What follows may be no fault of the target.",
            duration(late)
        )
    })
}

/// The probe had no time left when it began.
pub(super) fn not_ready() -> String {
    "The whole timeout was spent on reading the CA certificates of the exporter's system, which did not end in time: the file system that has them hangs, or the exporter gets too little CPU. Try `ls -l /etc/ssl/certs` there, or the files that SSL_CERT_FILE and SSL_CERT_DIR name.".to_owned()
}

/// Whether a peer's first bytes are those of a web server: some send an error page without a status line to what they cannot read.
fn is_http(bytes: &[u8]) -> bool {
    let begins = |text: &[u8]| {
        bytes
            .get(..text.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(text))
    };
    begins(b"HTTP/") || begins(b"<!DOCTYPE HTML") || begins(b"<html")
}

/// Whether a peer's first bytes are a SETTINGS frame, which servers of HTTP/2 send first.
fn is_http2(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, _, 4, ..])
}

/// A server that begins by itself, in a protocol that no other is taken for.
pub(super) fn greeting(bytes: &[u8]) -> Option<String> {
    Some(match bytes {
        [b'S', b'S', b'H', b'-', ..] => format!(
            "An SSH server responds, {}: probe it with the module ssh_banner.",
            quoted(bytes)
        ),
        // The length of the packet and its number, then an error or the version of the protocol, which is the end of a line.
        [_, _, 0, 0] | [_, _, 0, 0, b'\n' | 0xff, ..] => {
            "A MySQL or MariaDB server responds: probe it with prober: tcp and starttls: mysql.".to_owned()
        }
        _ => return None,
    })
}

/// A text from outside, quoted, short and harmless.
pub(super) fn quoted(text: &[u8]) -> String {
    format!("\"{}\"", short(&crate::carried::text(text), QUOTED))
}

/// The same of a name.
fn name(text: &str) -> String {
    short(text, QUOTED)
}
