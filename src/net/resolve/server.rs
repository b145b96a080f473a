//! The name server of a module (`resolver`): asked instead of the system's, over UDP, TCP, TLS or HTTPS.
//!
//! Who is asked for which name, how often and what an answer means is the crate go-resolve's, as for the system's name servers;
//! this is another way to the server, and a memory for what it said.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use go_resolve::config::ResolvConf;
use go_resolve::stub::{self, Found, Stub, StubError, Transport};
use go_resolve::wire::{Record, Reply};
use tokio::time::Instant;

use crate::config;
use crate::net::dial::{self, Vantage};
use crate::net::dns::{self, Ask, DohMethod};
use crate::net::policy::PolicyRefusal;
use crate::net::tls::{Alpn, ClientTls, Prepared, TlsError};
use crate::net::url::Url;
use crate::net::{Deadline, Network};
use crate::reason::Reason;

use super::{ResolveCause, ResolveError};

/// Most names that are remembered.
const MOST_KEPT: usize = 4096;

/// Most addresses of a name that is remembered.
const MOST_ADDRESSES: usize = 128;

/// Most addresses of the server that are asked.
const MOST_SERVERS: usize = 3;

/// How long one question may take when the module does not say how long all may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A name server.
#[derive(Debug)]
pub struct NameServer {
    way: Way,
    host: String,
    port: u16,
    tls: ClientTls,
    /// The name that its certificate must be for.
    name: String,
    authority: String,
    path: String,
    timeout: Option<Duration>,
    keep: Duration,
    kept: Mutex<HashMap<(String, bool, bool), Kept>>,
}

/// The addresses of a name, and until when they hold.
#[derive(Clone, Debug)]
struct Kept {
    addresses: Vec<IpAddr>,
    until: Instant,
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Udp,
    Tcp,
    Tls,
    Https,
}

/// A name server, and how a probe reaches it.
#[derive(Clone, Copy, Debug)]
pub struct ServerRoute<'a> {
    /// The server.
    pub server: &'a NameServer,
    /// The sockets, trust and policy.
    pub network: &'a Network,
    /// Where connections come from.
    pub vantage: &'a Vantage,
}

impl NameServer {
    /// Reads `udp://HOST`, `tcp://HOST`, `tls://HOST#NAME` or `https://HOST/PATH`, each perhaps with a port.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(
        text: &str,
        tls: &config::Shared<config::Tls>,
        timeout: Option<Duration>,
        keep: Duration,
    ) -> Result<Self, String> {
        // The text is not quoted: a URL may have a password.
        const NONE: &str = "this is not a name server: it is one of udp://HOST, tcp://HOST, tls://HOST#NAME, https://HOST/dns-query";
        let url = Url::parse(text).map_err(|_| NONE)?;
        let (way, default) = match url.scheme.as_str() {
            "udp" => (Way::Udp, 53),
            "tcp" => (Way::Tcp, 53),
            "tls" => (Way::Tls, 853),
            "https" => (Way::Https, 443),
            _ => return Err(NONE.to_owned()),
        };
        let host = url.hostname();
        let uri = String::from_utf8_lossy(&url.request_uri()).into_owned();
        let has_path = !matches!(uri.as_str(), "" | "/");
        if host.is_empty() || url.user.is_some() || (has_path && way != Way::Https) {
            return Err(NONE.to_owned());
        }
        let port = match url.port() {
            "" => default,
            port => port.parse().map_err(|_| "the name server has no valid port")?,
        };
        let fragment = text.split_once('#').map_or("", |(_, name)| name);
        let name = match (tls.server_name.as_str(), fragment) {
            ("", "") => host,
            ("", name) => name,
            (name, _) => name,
        };
        Ok(Self {
            way,
            host: host.to_owned(),
            port,
            tls: ClientTls::new(tls.clone()),
            name: name.to_owned(),
            authority: dns::authority(host, port),
            path: if has_path { uri } else { "/dns-query".to_owned() },
            timeout,
            keep,
            kept: Mutex::default(),
        })
    }

    fn kept(&self, key: &(String, bool, bool)) -> Option<Vec<IpAddr>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(key).filter(|kept| kept.until > Instant::now())?;
        Some(found.addresses.clone())
    }

    /// Remembers addresses for as long as the module and their records allow.
    fn keep(&self, key: (String, bool, bool), addresses: &[IpAddr], ttl: u32) {
        let hold = self.keep.min(Duration::from_secs(ttl.into()));
        if hold.is_zero() || addresses.len() > MOST_ADDRESSES {
            return;
        }
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, kept| kept.until > now);
        }
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        let addresses = addresses.to_vec();
        let until = now + hold;
        kept.insert(key, Kept { addresses, until });
    }
}

/// Why a module's name server gave no addresses.
#[derive(Debug)]
pub(super) enum ServerError {
    /// It cannot be asked.
    Unready(Unready),
    /// The target policy is against it.
    Refused(PolicyRefusal),
    /// What it said, or that it said nothing.
    Stub(StubError),
}

/// Why a name server cannot be asked: its own name has no address, or its TLS settings cannot be used.
#[derive(Debug)]
pub struct Unready {
    /// What is wrong.
    pub error: String,
    /// That of the target's failure.
    pub reason: Reason,
}

impl From<ResolveError> for Unready {
    fn from(error: ResolveError) -> Self {
        let reason = match error.reason() {
            lack @ (Reason::ResolveTimeout | Reason::OutOfResources) => lack,
            // What is wrong with the server's name is not wrong with the target's.
            _ => Reason::ResolveError,
        };
        Self {
            error: error.to_string(),
            reason,
        }
    }
}

impl From<ResolveError> for ServerError {
    fn from(error: ResolveError) -> Self {
        match error.cause {
            ResolveCause::Refused(refusal) => Self::Refused(refusal),
            _ => Self::Unready(error.into()),
        }
    }
}

impl From<TlsError> for Unready {
    fn from(error: TlsError) -> Self {
        let reason = match &error {
            TlsError::Unread { .. } => Reason::ResolveTimeout,
            TlsError::NoRoots(_) => error.reason(),
            _ => Reason::ResolveError,
        };
        Self {
            error: error.to_string(),
            reason,
        }
    }
}

impl ServerRoute<'_> {
    /// The addresses of a name, remembered or asked for; `None` when it is a name that must not be asked for.
    pub(super) async fn addresses(
        &self,
        name: &str,
        records: &[Record],
        deadline: Deadline,
    ) -> Result<Option<Vec<IpAddr>>, ServerError> {
        let server = self.server;
        let has = |record| records.contains(&record);
        let key = (name.to_ascii_lowercase(), has(Record::A), has(Record::Aaaa));
        if let Some(addresses) = server.kept(&key) {
            return Ok(Some(addresses));
        }
        let budget = server.timeout.unwrap_or(deadline.left()).min(deadline.left());
        let ours = Deadline::after(Instant::now(), budget);
        let resolver = &self.network.resolver;
        let mut servers = resolver.helper(&server.host, server.port, ours).await?;
        servers.truncate(MOST_SERVERS);
        let prepared = match server.way {
            Way::Udp | Way::Tcp => None,
            Way::Tls | Way::Https => {
                let prepared = server.tls.prepare(&self.network.roots, ours).await;
                Some(prepared.map_err(|error| ServerError::Unready(error.into()))?)
            }
        };
        let mut conf = ResolvConf::default();
        conf.use_tcp = server.way != Way::Udp;
        conf.attempts = if conf.use_tcp { 1 } else { 2 };
        let turns = u32::try_from(servers.len()).unwrap_or(1).max(1) * conf.attempts;
        let share = budget / turns;
        conf.timeout = if server.timeout.is_some() {
            share
        } else {
            share.min(PATIENCE)
        };
        conf.servers = servers;
        conf.ndots = 0;
        let link = Link {
            via: *self,
            prepared,
            deadline: Deadline::after(Instant::now(), Duration::MAX).watched(),
            least_ttl: AtomicU32::new(u32::MAX),
        };
        let stub = Stub {
            transport: &link,
            conf: &conf,
            deadline,
            overlaps: true,
        };
        let found = stub.addresses(name, records).await.map_err(ServerError::Stub)?;
        // Half of the addresses would count for the whole of the time.
        if let Some(Found { addresses, .. }) = found.as_ref().filter(|found| found.is_whole) {
            server.keep(key, addresses, link.least_ttl.load(Ordering::Relaxed));
        }
        Ok(found.map(|found| found.addresses))
    }
}

/// The way to the server for one lookup.
struct Link<'a> {
    via: ServerRoute<'a>,
    prepared: Option<Prepared>,
    /// Never: who asks ends the question in time, and says that it was silence.
    deadline: Deadline,
    /// The least TTL of the answers that came.
    least_ttl: AtomicU32,
}

impl Link<'_> {
    fn note(&self, answer: Vec<u8>) -> Vec<u8> {
        if let Some(ttl) = Reply::new(&answer).least_ttl() {
            self.least_ttl.fetch_min(ttl, Ordering::Relaxed);
        }
        answer
    }
}

impl Transport for Link<'_> {
    async fn datagram(
        &self,
        server: SocketAddr,
        query: &[u8],
        accept: impl Fn(&[u8]) -> bool + Send,
    ) -> io::Result<Vec<u8>> {
        let ServerRoute { network, vantage, .. } = self.via;
        let socket = dial::udp(network, self.deadline, server, vantage).await;
        let socket = socket.map_err(io::Error::other)?;
        Ok(self.note(stub::ask(&socket, query, accept).await?))
    }

    async fn stream(&self, to: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
        let ServerRoute {
            server,
            network,
            vantage,
        } = self.via;
        let stream = dial::tcp(network, self.deadline, to, vantage).await;
        let mut stream = stream.map_err(io::Error::other)?.stream;
        let Some(prepared) = &self.prepared else {
            dns::send(&mut stream, query).await.map_err(io::Error::other)?;
            let answer = dns::receive(&mut stream).await.map_err(io::Error::other)?;
            return Ok(self.note(answer));
        };
        stream.set_nodelay(true)?;
        let alpn = match server.way {
            Way::Https => Alpn::Http2,
            _ => Alpn::None,
        };
        let session = prepared.handshake(stream, &server.name, alpn, self.deadline);
        let session = Box::pin(session).await.map_err(io::Error::other)?;
        let mut stream = session.stream;
        let answer = if server.way == Way::Https {
            let speaks_http2 = session.facts.alpn.as_deref() == Some(b"h2");
            let ask = Ask {
                authority: &server.authority,
                path: &server.path,
                method: DohMethod::Post,
                message: query,
            };
            Box::pin(dns::over_http(stream, speaks_http2, ask)).await
        } else {
            match dns::send(&mut stream, query).await {
                Ok(()) => dns::receive(&mut stream).await,
                Err(error) => Err(error),
            }
        };
        Ok(self.note(answer.map_err(io::Error::other)?))
    }

    fn stream_name(&self) -> &'static str {
        match self.via.server.way {
            Way::Udp | Way::Tcp => "tcp",
            Way::Tls => "tls",
            Way::Https => "https",
        }
    }
}
