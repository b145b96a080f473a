//! What is asked of a proxy.

use std::borrow::Cow;

use super::{ConnectError, Stream, Tls};
use crate::net::port::{self, Protocol};
use crate::net::proxy::{self, Proxies};
use crate::net::url::{Url, idna_ascii};
use crate::prober::Probe;

/// The way through a proxy.
#[derive(Debug)]
pub(in crate::prober) struct Via<'a> {
    pub proxy: &'a Url,
    /// TLS with the proxy.
    pub tls: Option<Tls<'a>>,
    /// What goes with a CONNECT.
    pub proxies: &'a Proxies,
    /// What is asked for.
    pub url: &'a Url,
    /// Whether the host of the URL is an address that was found for a name which the policy allows.
    pub is_chosen: bool,
}

impl Via<'_> {
    /// Asks the policy about what the proxy will be asked for.
    ///
    /// # Errors
    /// The policy's.
    pub(super) async fn judge(&self, probe: &Probe<'_>) -> Result<(), ConnectError> {
        let host = self.host();
        // A port that nobody knows here leads nowhere, unless the proxy knows it.
        let port = port::find(self.url.port_or_default(), Protocol::Tcp, probe.deadline);
        let port = port.await.ok();
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
    pub(super) async fn ask(&self, probe: &Probe<'_>, stream: &mut Stream) -> Result<bool, ConnectError> {
        for (_, value) in self.proxies.connect_headers(self.proxy).iter() {
            probe.secrets.hide(value);
            probe.secrets.hide_authorization(value);
        }
        if let Some(user) = &self.proxy.user {
            probe.secrets.hide_user(user);
        }
        let address = self.address();
        let made = async {
            match (self.proxy.scheme.as_str(), self.url.scheme.as_str()) {
                ("socks5" | "socks5h", _) => {
                    let port = port::find(self.url.port_or_default(), Protocol::Tcp, probe.deadline).await;
                    let port = port.map_err(ConnectError::Port)?;
                    proxy::socks5(stream, &self.host(), port, self.proxy.user.as_ref())
                        .await
                        .map_err(ConnectError::Tunnel)?;
                    Ok(false)
                }
                (_, "https") => {
                    let headers = self.proxies.connect_headers(self.proxy);
                    proxy::connect(stream, &address, &headers)
                        .await
                        .map_err(ConnectError::Tunnel)?;
                    Ok(false)
                }
                _ => Ok(true),
            }
        };
        let waited = probe.deadline.within(Box::pin(made)).await;
        waited.unwrap_or_else(|timed_out| {
            Err(ConnectError::NoTunnel {
                to: self.address(),
                timed_out,
            })
        })
    }

    fn host(&self) -> Cow<'_, str> {
        idna_ascii(self.url.hostname())
    }

    /// `host:port` as Go's `net.JoinHostPort` writes it, the host in ASCII.
    fn address(&self) -> String {
        let (host, port) = (self.host(), self.url.port_or_default());
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}
