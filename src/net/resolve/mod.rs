//! From a target's host name to the one address that a probe dials.
//!
//! The contract is Go's own resolver, because upstream uses it: address literals, then the hosts file, then the name servers of
//! `resolv.conf`; nothing is cached. A stub resolver of our own, the crate go-resolve, does it, since the answer of a prober that names
//! servers, families and errors must be exact (see `docs/dependencies.md`). A module may name [another server](NameServer).

mod server;

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use go_resolve::config::{ResolvConf, Sources};
use go_resolve::hosts::Hosts;
use go_resolve::order;
use go_resolve::stub::{self, Sockets, Stub, StubError, is_domain_name};
use go_resolve::watched::Watched;
use go_resolve::wire::{Flaw, Record};

use super::dial::DialError;
use super::policy::{Policy, PolicyRefusal};
use super::tls::HandshakeError;
use super::url::idna_ascii;
use super::{Address, Deadline, Preference};
use crate::carried;
use crate::reason::Reason;
use crate::shortage::{Resource, Shortages};

use server::ServerError;
pub use server::{NameServer, ServerRoute, Unready};

/// Looks names up in the hosts file and the system's name servers. Nothing is cached.
#[derive(Debug)]
pub struct Resolver {
    hosts: Watched<Hosts>,
    conf: Watched<ResolvConf>,
    sources: Watched<Sources>,
    policy: Policy,
    shortages: Arc<Shortages>,
}

impl Resolver {
    /// The system's resolver, for the names and addresses that a policy allows.
    pub fn new(policy: Policy, shortages: Arc<Shortages>) -> Self {
        Self {
            policy,
            shortages,
            hosts: Watched::new("/etc/hosts", Hosts::parse),
            conf: Watched::new("/etc/resolv.conf", ResolvConf::parse),
            sources: Watched::new("/etc/nsswitch.conf", Sources::parse),
        }
    }
}

/// Why a name has no address to dial. The texts begin as Go's do.
#[derive(Debug)]
pub struct ResolveError {
    name: String,
    server: Option<SocketAddr>,
    cause: ResolveCause,
    /// Whether the module's name server was asked.
    by_module: bool,
    /// What else the lookup saw.
    seen: Box<stub::Seen>,
}

/// Why.
#[derive(Debug)]
pub enum ResolveCause {
    /// Not a name that can be looked up, or not in the only source.
    NoSuchHost,
    /// The target policy is against the name, or against its address.
    Refused(PolicyRefusal),
    /// It has addresses, but none of the only family allowed.
    NoSuitableAddress,
    /// A name that must not be asked for.
    Unasked,
    /// The name servers' fault.
    Servers(stub::Cause),
    /// The module's name server cannot be asked.
    NameServer(Unready),
}

impl ResolveError {
    fn new(host: &str, cause: ResolveCause) -> Self {
        Self {
            name: host.to_owned(),
            server: None,
            cause,
            by_module: false,
            seen: Box::default(),
        }
    }

    /// The target policy is against a host.
    pub fn refused(host: &str, refusal: PolicyRefusal) -> Self {
        Self::new(host, ResolveCause::Refused(refusal))
    }

    /// The name that was looked up.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name server that was asked last.
    pub fn server(&self) -> Option<SocketAddr> {
        self.server
    }

    /// Why it has no address.
    pub fn cause(&self) -> &ResolveCause {
        &self.cause
    }

    /// What else the lookup saw.
    pub fn seen(&self) -> &stub::Seen {
        &self.seen
    }

    /// Why the module's name server could not be dialled, if that is the cause.
    pub fn dial(&self) -> Option<&DialError> {
        self.io()?.downcast_ref()
    }

    /// Why there was no TLS with the module's name server, if that is the cause.
    pub fn handshake(&self) -> Option<&HandshakeError> {
        self.io()?
            .downcast_ref::<Box<HandshakeError>>()
            .map(|error| &**error)
    }

    /// What went wrong on the way to the module's name server.
    fn io(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        match &self.cause {
            ResolveCause::Servers(stub::Cause::Io { error, .. }) => error.get_ref(),
            _ => None,
        }
    }

    /// Whether the target policy is the reason.
    pub fn is_refusal(&self) -> bool {
        matches!(self.cause, ResolveCause::Refused(_))
    }

    /// Its place among the reasons of failures.
    pub fn reason(&self) -> Reason {
        // What is wrong here is not the name server's.
        if let Some(reason @ (Reason::ConfigError | Reason::OutOfResources)) =
            self.dial().map(DialError::reason)
        {
            return reason;
        }
        match &self.cause {
            ResolveCause::NoSuchHost | ResolveCause::Unasked => Reason::ResolveNotFound,
            ResolveCause::Refused(_) => Reason::PolicyRefused,
            ResolveCause::NoSuitableAddress => Reason::ResolveNoAddress,
            ResolveCause::NameServer(unready) => unready.reason,
            ResolveCause::Servers(stub::Cause::NoAddress | stub::Cause::Flaw(Flaw::NoData(_))) => {
                Reason::ResolveNoAddress
            }
            ResolveCause::Servers(stub::Cause::Flaw(Flaw::NoSuchName) | stub::Cause::Unaskable) => {
                Reason::ResolveNotFound
            }
            ResolveCause::Servers(stub::Cause::Silent { .. } | stub::Cause::Deadline(_)) => {
                Reason::ResolveTimeout
            }
            ResolveCause::Servers(stub::Cause::Io { over, error })
                if Resource::of(call(over), error).is_some() =>
            {
                Reason::OutOfResources
            }
            ResolveCause::Servers(stub::Cause::Io { .. } | stub::Cause::Flaw(_) | stub::Cause::Stranger) => {
                Reason::ResolveError
            }
        }
    }

    /// Whether the module's name server was asked, not the system's.
    pub fn is_by_module(&self) -> bool {
        self.by_module
    }

    /// Whether it is a name that must not be asked for.
    pub fn is_unasked(&self) -> bool {
        matches!(self.cause, ResolveCause::Unasked)
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match (&self.cause, self.server) {
            (ResolveCause::NoSuchHost, _) => write!(f, "lookup {name}: no such host"),
            // It is not looked up.
            (ResolveCause::Refused(refusal), _) if Address::parse(name).is_some() => {
                write!(f, "address {name}: {refusal}")
            }
            (ResolveCause::Refused(refusal), _) => write!(f, "lookup {name}: {refusal}"),
            (ResolveCause::NoSuitableAddress, _) => write!(f, "address {name}: no suitable address found"),
            (ResolveCause::Unasked, _) => write!(
                f,
                "unable to find ip; no fallback: {name} is never looked up (RFC 7686)"
            ),
            (ResolveCause::Servers(cause), Some(server)) => write!(f, "lookup {name} on {server}: {cause}"),
            (ResolveCause::NameServer(Unready { error, .. }), _) => {
                write!(f, "lookup {name}: the name server of the module: {error}")
            }
            (ResolveCause::Servers(cause), None) => write!(f, "lookup {name}: {cause}"),
        }
    }
}

impl std::error::Error for ResolveError {}

impl Resolver {
    /// The address to dial for `host`: upstream's `chooseProtocol` without its metrics. The policy allows it.
    ///
    /// # Errors
    /// No such name, no address of the wanted family, a failing name server, the deadline, or the target policy.
    pub async fn lookup(
        &self,
        host: &str,
        preference: Preference,
        deadline: Deadline,
        via: Option<ServerRoute<'_>>,
    ) -> Result<Found, ResolveError> {
        let found = self.choose(host, preference, deadline, via).await?;
        match self.policy.check_address(found.chosen.ip) {
            Ok(()) => Ok(found),
            Err(refusal) => Err(ResolveError::refused(host, refusal)),
        }
    }

    /// The same of the addresses that the policy allows: those that it denies are left out.
    ///
    /// # Errors
    /// As [`Resolver::lookup`].
    pub async fn lookup_allowed(
        &self,
        host: &str,
        preference: Preference,
        deadline: Deadline,
        via: Option<ServerRoute<'_>>,
    ) -> Result<Found, ResolveError> {
        let Found { chosen, mut others } = self.choose(host, preference, deadline, via).await?;
        others.insert(0, chosen);
        self.keep_allowed(host, &mut others, None)?;
        // Invariant: one is left, or else that was an error.
        let chosen = others.remove(0);
        Ok(Found { chosen, others })
    }

    async fn choose(
        &self,
        host: &str,
        preference: Preference,
        deadline: Deadline,
        via: Option<ServerRoute<'_>>,
    ) -> Result<Found, ResolveError> {
        let found = self.found(host, preference, deadline, via).await?;
        choose(found, preference).ok_or_else(|| ResolveError::new(host, ResolveCause::NoSuitableAddress))
    }

    /// The addresses of `host` in the order in which they are to be dialled, never none. The policy allows the name and
    /// each of them.
    ///
    /// # Errors
    /// As [`Resolver::lookup`].
    pub async fn candidates(
        &self,
        host: &str,
        preference: Preference,
        deadline: Deadline,
        via: Option<ServerRoute<'_>>,
    ) -> Result<Vec<Address>, ResolveError> {
        let found = self.found(host, preference, deadline, via).await?;
        let (mut wanted, mut others) = by_family(found, preference);
        order::sort(&mut wanted);
        if preference.fallback {
            order::sort(&mut others);
            wanted.append(&mut others);
        }
        if wanted.is_empty() {
            return Err(ResolveError::new(host, ResolveCause::NoSuitableAddress));
        }
        self.keep_allowed(host, &mut wanted, None)?;
        Ok(wanted)
    }

    /// The addresses of a host that is no target but helps a probe, a name server or an OCSP responder, never none. The policy
    /// allows each of them; the name is not judged.
    ///
    /// # Errors
    /// As [`Resolver::lookup`].
    pub async fn helper(
        &self,
        host: &str,
        port: u16,
        deadline: Deadline,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let mut found = match Address::parse(host) {
            Some(address) => vec![address],
            None => self.all(host, deadline).await?,
        };
        self.keep_allowed(host, &mut found, Some(port))?;
        Ok(found.iter().map(|address| address.with_port(port)).collect())
    }

    /// Here and not where they are dialled: an error about a name must not say what it resolved to.
    fn keep_allowed(
        &self,
        host: &str,
        found: &mut Vec<Address>,
        port: Option<u16>,
    ) -> Result<(), ResolveError> {
        let kept = self.policy.keep_allowed(found, port);
        kept.map_err(|refusal| ResolveError::refused(host, refusal))
    }

    /// What a name that the policy allows has; only if both families will do, none is an error.
    async fn found(
        &self,
        host: &str,
        preference: Preference,
        deadline: Deadline,
        via: Option<ServerRoute<'_>>,
    ) -> Result<Vec<Address>, ResolveError> {
        let fail = |cause| ResolveError {
            by_module: via.is_some(),
            ..ResolveError::new(host, cause)
        };
        if host.is_empty() {
            return Err(fail(ResolveCause::NoSuchHost));
        }
        self.policy
            .check_name(host)
            .map_err(|refusal| ResolveError::refused(host, refusal))?;
        let found = match Address::parse(host) {
            Some(address) => vec![address],
            // Boxed: many targets are addresses, and all of the probe holds the room for what it may have to wait for.
            None => Box::pin(self.names(host, preference, deadline, via)).await?,
        };
        if found.is_empty() && preference.fallback {
            return Err(fail(ResolveCause::Unasked));
        }
        Ok(found)
    }

    /// All addresses of a name that is no target, so that no policy is asked.
    ///
    /// # Errors
    /// No such name, a failing name server, or the deadline.
    pub async fn all(&self, host: &str, deadline: Deadline) -> Result<Vec<Address>, ResolveError> {
        let found = self.system(host, Preference::new("", true), deadline).await?;
        if found.is_empty() {
            return Err(ResolveError::new(host, ResolveCause::Unasked));
        }
        Ok(found)
    }

    /// All addresses of a name that is no literal; none if it must not be asked for. A module's name server is asked for the
    /// name as it is: the system's files and its search list are not.
    async fn names(
        &self,
        host: &str,
        preference: Preference,
        deadline: Deadline,
        via: Option<ServerRoute<'_>>,
    ) -> Result<Vec<Address>, ResolveError> {
        let Some(via) = via else {
            return self.system(host, preference, deadline).await;
        };
        let fail = |server, cause| ResolveError {
            server,
            by_module: true,
            ..ResolveError::new(host, cause)
        };
        let ascii = asked_for(host);
        if !is_domain_name(&ascii) {
            return Err(fail(None, ResolveCause::NoSuchHost));
        }
        match Box::pin(via.addresses(&ascii, records(preference), deadline)).await {
            Ok(found) => Ok(found.into_iter().flatten().map(Address::new).collect()),
            Err(ServerError::Stub(error)) => Err(ResolveError {
                seen: error.seen,
                ..fail(error.server, ResolveCause::Servers(error.cause))
            }),
            Err(ServerError::Refused(refusal)) => Err(fail(None, ResolveCause::Refused(refusal))),
            Err(ServerError::Unready(unready)) => Err(fail(None, ResolveCause::NameServer(unready))),
        }
    }

    /// The same from the system's files and name servers.
    async fn system(
        &self,
        host: &str,
        preference: Preference,
        deadline: Deadline,
    ) -> Result<Vec<Address>, ResolveError> {
        let ascii = asked_for(host);
        let fail = |server, cause| ResolveError {
            server,
            ..ResolveError::new(host, cause)
        };
        let sources = *self.sources.load().await;
        if matches!(sources, Sources::Files | Sources::FilesThenDns)
            && let Some(found) = self.in_hosts(host, &ascii).await
        {
            return Ok(found);
        }
        if sources == Sources::Files || !is_domain_name(&ascii) {
            return Err(fail(None, ResolveCause::NoSuchHost));
        }
        let conf = self.conf.load().await;
        let stub = Stub {
            transport: &Sockets,
            conf: &conf,
            deadline,
            overlaps: false,
        };
        // Boxed: a name of the hosts file needs no room for asking servers, of which there is much.
        let answer = Box::pin(stub.addresses(&ascii, records(preference))).await;
        if sources == Sources::DnsThenFiles
            && !matches!(&answer, Ok(Some(_)))
            && let Some(found) = self.in_hosts(host, &ascii).await
        {
            return Ok(found);
        }
        match answer {
            Ok(found) => {
                let addresses = found.into_iter().flat_map(|found| found.addresses);
                Ok(addresses.map(Address::new).collect())
            }
            Err(StubError { server, cause, seen }) => {
                if let stub::Cause::Io { over, error } = &cause {
                    self.shortages.note(call(over), error);
                }
                Err(ResolveError {
                    seen,
                    ..fail(server, ResolveCause::Servers(cause))
                })
            }
        }
    }

    /// What the hosts file has for a name, as written or in its ASCII form.
    async fn in_hosts(&self, host: &str, ascii: &str) -> Option<Vec<Address>> {
        let hosts = self.hosts.load().await;
        let mut names = [host, ascii].into_iter();
        names.find_map(|name| Some(hosts.addresses(name).to_vec()).filter(|found| !found.is_empty()))
    }
}

/// Which records are asked for.
fn records(preference: Preference) -> &'static [Record] {
    match (preference.fallback, preference.ip6) {
        (true, _) => &[Record::A, Record::Aaaa],
        (false, true) => &[Record::Aaaa],
        (false, false) => &[Record::A],
    }
}

/// What a name has.
#[derive(Clone, Debug)]
pub struct Found {
    /// The address that a probe dials.
    pub chosen: Address,
    /// Its other addresses, the best of the same family first.
    pub others: Vec<Address>,
}

impl From<Address> for Found {
    fn from(chosen: Address) -> Self {
        let others = Vec::new();
        Self { chosen, others }
    }
}

fn by_family(found: Vec<Address>, preference: Preference) -> (Vec<Address>, Vec<Address>) {
    found
        .into_iter()
        .partition(|address| address.ip.is_ipv6() == preference.ip6)
}

/// The best address of the wanted family, or else the last one of the other if that is allowed.
fn choose(mut found: Vec<Address>, preference: Preference) -> Option<Found> {
    // Go, for machines that can listen on `::` but not connect to it.
    let is_any = matches!(found.as_slice(), [only] if only.ip == Ipv6Addr::UNSPECIFIED);
    if is_any && !preference.fallback && !preference.ip6 {
        return Some(Address::new(Ipv4Addr::UNSPECIFIED.into()).into());
    }
    // The usual case has nothing to sort.
    if preference.fallback && found.len() == 1 {
        return found.pop().map(Found::from);
    }
    let (mut wanted, mut others) = by_family(found, preference);
    if wanted.is_empty() && preference.fallback {
        order::sort(&mut others);
        let chosen = others.pop()?;
        return Some(Found { chosen, others });
    }
    order::sort(&mut wanted);
    let mut wanted = wanted.into_iter();
    let mut chosen = wanted.next()?;
    if preference.fallback {
        let others = wanted.chain(others).collect();
        return Some(Found { chosen, others });
    }
    // Upstream's way without fallback knows no zones.
    chosen.zone = None;
    let others = wanted.collect();
    Some(Found { chosen, others })
}

/// The call that fails for want of a port, by what queries go over. A UDP socket, whose port is chosen before, connects without one.
fn call(over: &str) -> &str {
    match over {
        "tcp" => "connect",
        other => other,
    }
}

/// The name that is looked up: a name in another script in its ASCII form. What is not UTF-8 is no name in any script.
fn asked_for(host: &str) -> Cow<'_, str> {
    match carried::lossy(host) {
        Cow::Borrowed(_) => idna_ascii(host),
        Cow::Owned(_) => Cow::Borrowed(host),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn literals_and_hosts_are_chosen_as_upstream_does() {
        let resolver = Resolver {
            policy: Policy::default(),
            shortages: Arc::default(),
            hosts: Watched::new("/nonexistent", |_| {
                Hosts::parse(Ok(concat!(
                    "192.0.2.4 four.test\n2001:db8::6 six.test\n",
                    "192.0.2.4 both.test\n2001:db8::6 both.test\nfe80::1%9999 zone.test\n"
                )
                .to_owned()))
            }),
            conf: Watched::new("/nonexistent", ResolvConf::parse),
            sources: Watched::new("/nonexistent", |_: io::Result<String>| Sources::Files),
        };
        const NO_FOUR: &str = "address ::1: no suitable address found";
        // host, then preferring ip4, ip6, only ip4, only ip6
        #[rustfmt::skip]
        let rows = [
            ("127.0.0.1", ["127.0.0.1", "127.0.0.1", "127.0.0.1", "address 127.0.0.1: no suitable address found"]),
            ("::1", ["::1", "::1", NO_FOUR, "::1"]),
            ("::", ["::", "::", "0.0.0.0", "::"]),
            ("fe80::1%9999", ["fe80::1%9999", "fe80::1%9999", "address fe80::1%9999: no suitable address found", "fe80::1"]),
            ("::ffff:192.0.2.4", ["192.0.2.4", "192.0.2.4", "192.0.2.4", "address ::ffff:192.0.2.4: no suitable address found"]),
            ("four.test", ["192.0.2.4", "192.0.2.4", "192.0.2.4", "address four.test: no suitable address found"]),
            ("six.test", ["2001:db8::6", "2001:db8::6", "address six.test: no suitable address found", "2001:db8::6"]),
            ("Both.Test", ["192.0.2.4", "2001:db8::6", "192.0.2.4", "2001:db8::6"]),
            ("zone.test", ["fe80::1%9999", "fe80::1%9999", "address zone.test: no suitable address found", "fe80::1"]),
            ("none.test", ["lookup none.test: no such host"; 4]),
            ("", ["lookup : no such host"; 4]),
        ];
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(5));
        for (host, wants) in rows {
            for (i, want) in wants.into_iter().enumerate() {
                let preference = Preference {
                    ip6: i % 2 == 1,
                    fallback: i < 2,
                };
                let got = match resolver.lookup(host, preference, deadline, None).await {
                    Ok(found) => found.chosen.to_string(),
                    Err(error) => error.to_string(),
                };
                assert_eq!(got, want, "{host} {preference:?}");
            }
        }
    }
}
