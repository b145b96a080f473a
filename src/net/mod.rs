//! What all probers share: deadlines, name resolution, dialling, TLS, proxies.

pub mod arrivals;
pub mod beside;
pub mod dial;
pub mod dns;
pub mod fetch;
pub mod file;
pub mod oauth2;
pub mod ocsp;
pub mod policy;
pub mod port;
pub mod proxy;
pub mod quic;
pub mod reqwest_error;
pub mod resolve;
pub mod revocation;
pub mod secrets;
pub mod single_flight;
pub mod tls;

pub use gostd::address::{self, Address, Preference, join_host_port, split_host_port};
pub use gostd::deadline::{self, Deadline, TimedOut};
pub use gostd::url;

pub(crate) use go_http::buffer;
pub use go_http::{headers, http1, http2, http3};
pub use go_x509 as x509;
pub use ping_engine as icmp;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::shortage::Shortages;
use policy::Policy;
use resolve::Resolver;
use tls::Roots;

/// Bytes both ways, over whatever connection.
pub trait AnyStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> AnyStream for T {}

/// The sockets, resolver and trust that all probes of this process share.
#[derive(Debug)]
pub struct Network {
    /// What may be probed.
    pub policy: Policy,
    /// Name resolution.
    pub resolver: Arc<Resolver>,
    /// The system's CA certificates.
    pub roots: Roots,
    /// The shared ICMP sockets.
    pub icmp: icmp::Engine,
    /// The lists of revoked certificates.
    pub revocation: revocation::Lists,
    /// What OCSP responders said.
    pub ocsp: ocsp::Responses,
    /// What this machine had none left of.
    pub shortages: Arc<Shortages>,
    /// The counters of dialled connections.
    pub connections: Arc<dial::Counters>,
}

impl Network {
    /// The real network of this machine.
    pub fn system() -> Self {
        Self::default()
    }

    /// The real network of this machine, as far as the policy allows.
    pub fn governed_by(policy: Policy) -> Self {
        let shortages = Arc::<Shortages>::default();
        Self {
            resolver: Arc::new(Resolver::new(policy.clone(), Arc::clone(&shortages))),
            policy,
            roots: Roots::counting(Arc::clone(&shortages)),
            shortages,
            icmp: icmp::Engine::default(),
            revocation: revocation::Lists::default(),
            ocsp: ocsp::Responses::default(),
            connections: Arc::default(),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::governed_by(Policy::default())
    }
}
