//! What is asked of a proxy.

use std::borrow::Cow;

use tokio::time::Instant;

use super::{ConnectError, Stream, Tls};
use crate::net::join_host_port;
use crate::net::port::{self, Protocol};
use crate::net::proxy::{self, Proxies};
use crate::net::url::{Url, idna_ascii};
use crate::prober::{Phase, Probe};

/// The way through a proxy.
#[derive(Debug)]
pub(in crate::prober) struct ProxyRoute<'a> {
    pub proxy: &'a Url,
    /// TLS with the proxy.
    pub tls: Option<Tls<'a>>,
    /// What goes with a CONNECT; nothing is asked of a SOCKS proxy but the way.
    pub proxies: Option<&'a Proxies>,
    /// The host that is asked for.
    pub host: &'a str,
    /// Its port: a number, or the name of a service.
    pub port: &'a str,
    /// Whether an HTTP proxy must make a tunnel: else it forwards requests.
    pub needs_tunnel: bool,
    /// Whether the host is an address that was found for a name which the policy allows.
    pub is_chosen: bool,
}

impl ProxyRoute<'_> {
    /// Asks the policy about what the proxy will be asked for.
    ///
    /// # Errors
    /// The policy's.
    pub(super) async fn judge(&self, probe: &Probe<'_>) -> Result<(), ConnectError> {
        let host = self.host();
        // A port that nobody knows here leads nowhere, unless the proxy knows it.
        let port = port::find(self.port, Protocol::Tcp, probe.deadline).await.ok();
        let judged = match self.is_chosen {
            true => probe.network.policy.check_chosen(&host, port),
            false => probe.network.policy.check_far(&host, port),
        };
        judged.map_err(|refusal| ConnectError::Refused {
            host: self.address(),
            refusal,
        })
    }

    /// Makes the tunnel that is needed; true if the proxy forwards requests instead.
    pub(super) async fn ask(&self, probe: &mut Probe<'_>, stream: &mut Stream) -> Result<bool, ConnectError> {
        let headers = self.proxies.map(|proxies| proxies.connect_headers(self.proxy));
        let headers = headers.unwrap_or_default();
        for (_, value) in headers.iter() {
            probe.secrets.hide(value);
            probe.secrets.hide_authorization(value);
        }
        if let Some(user) = &self.proxy.user {
            probe.secrets.hide_user(user);
        }
        let address = self.address();
        let deadline = probe.deadline;
        let from = Instant::now();
        let made = async {
            match (self.proxy.scheme.as_str(), self.needs_tunnel) {
                ("socks5" | "socks5h", _) => {
                    let port = port::find(self.port, Protocol::Tcp, deadline).await?;
                    proxy::socks5(stream, &self.host(), port, self.proxy.user.as_ref()).await?;
                    Ok(false)
                }
                (_, true) => {
                    proxy::connect(stream, &address, &headers).await?;
                    Ok(false)
                }
                (_, false) => Ok(true),
            }
        };
        let waited = deadline.within(Box::pin(made)).await;
        if !matches!(waited, Ok(Ok(true))) {
            probe.timeline.record(Phase::Setup, from, probe.end(from));
        }
        waited.unwrap_or_else(|timed_out| {
            Err(ConnectError::NoTunnel {
                to: self.address(),
                timed_out,
            })
        })
    }

    fn host(&self) -> Cow<'_, str> {
        idna_ascii(self.host)
    }

    /// `host:port`, the host in ASCII.
    fn address(&self) -> String {
        join_host_port(&self.host(), self.port)
    }
}
