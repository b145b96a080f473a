//! The way through a SOCKS5 proxy (`proxy_url`).

use std::borrow::Cow;

use crate::net::url::Url;
use crate::net::{Address, Preference};
use crate::prober::connect::{ProxyRoute, To};

/// Whether the proxy looks the host up: it is a name, and the scheme says so.
pub(super) fn resolves(proxy: &Url, host: &str) -> bool {
    proxy.scheme == "socks5h" && !host.is_empty() && Address::parse(host).is_none()
}

/// Which host the proxy is asked for: the address that was found, or the name.
pub(super) fn asked<'a>(addresses: &[Address], host: &'a str) -> Cow<'a, str> {
    match addresses {
        [address, ..] => address.to_string().into(),
        [] => host.into(),
    }
}

/// The proxy, which is dialled in place of the target.
pub(super) fn to(proxy: &Url, preference: Preference) -> To<'_> {
    To::Host {
        host: proxy.hostname(),
        port: proxy.port_or_default(),
        // The preference is about targets: it orders the addresses of a proxy, and rules none out.
        preference: Preference {
            fallback: true,
            ..preference
        },
    }
}

/// What it is asked for.
pub(super) fn via<'a>(proxy: &'a Url, host: &'a str, port: &'a str, is_chosen: bool) -> ProxyRoute<'a> {
    ProxyRoute {
        proxy,
        tls: None,
        proxies: None,
        host,
        port,
        needs_tunnel: true,
        is_chosen,
    }
}
