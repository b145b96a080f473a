//! Which server is asked: the target, or the module's `server`.

use crate::config::probers::dns::NOT_DOH;
use crate::module::DnsTransport;
use crate::net::dns::authority;
use crate::net::split_host_port;
use crate::net::url::Url;

/// A server as it is written.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    pub host: String,
    pub port: String,
    /// Host and port as the URL of DNS over HTTPS names them.
    pub authority: String,
    /// The path of DNS over HTTPS.
    pub path: String,
}

impl Place {
    /// Reads what is written: a host, perhaps with a port, and for DNS over HTTPS a URL. What is no host and port is a host,
    /// IPv6 addresses without brackets among them.
    ///
    /// # Errors
    /// A URL that is none.
    pub(super) fn read(
        text: &str,
        transport: DnsTransport,
        is_encrypted: bool,
        path: &str,
    ) -> Result<Self, &'static str> {
        let default = match (transport, is_encrypted) {
            (DnsTransport::Https, _) => "443",
            (_, true) => "853",
            (_, false) => "53",
        };
        if transport == DnsTransport::Https && text.contains("://") {
            // RFC 8484 writes URLs as templates.
            let url = text.strip_suffix("{?dns}").unwrap_or(text);
            let is_doh =
                |url: &Url| url.scheme == "https" && !url.hostname().is_empty() && url.user.is_none();
            let url = Url::parse(url).ok().filter(is_doh).ok_or(NOT_DOH)?;
            let uri = String::from_utf8_lossy(&url.request_uri()).into_owned();
            let path = match uri.as_str() {
                "" | "/" => path.to_owned(),
                _ => uri,
            };
            return Ok(Self::new(url.hostname(), url.port_or_default(), path));
        }
        let (host, port) = split_host_port(text).unwrap_or((text, default));
        Ok(Self::new(host, port, path.to_owned()))
    }

    fn new(host: &str, port: &str, path: String) -> Self {
        Self {
            host: host.to_owned(),
            port: port.to_owned(),
            authority: authority(host.trim_matches(['[', ']']), port),
            path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_hosts_or_urls() {
        #[rustfmt::skip]
        let rows = [
            ("9.9.9.9", DnsTransport::Udp, false, "9.9.9.9 53 9.9.9.9:53 /p"),
            ("9.9.9.9", DnsTransport::Tcp, true, "9.9.9.9 853 9.9.9.9:853 /p"),
            ("dns.test:8853", DnsTransport::Quic, true, "dns.test 8853 dns.test:8853 /p"),
            ("dns.test", DnsTransport::Https, true, "dns.test 443 dns.test /p"),
            ("::1", DnsTransport::Https, true, "::1 443 [::1] /p"),
            ("[::1]:8443", DnsTransport::Https, true, "::1 8443 [::1]:8443 /p"),
            ("https://dns.test/a?b=c", DnsTransport::Https, true, "dns.test 443 dns.test /a?b=c"),
            ("https://dns.test:8443/q{?dns}", DnsTransport::Https, true, "dns.test 8443 dns.test:8443 /q"),
            ("https://dns.test", DnsTransport::Https, true, "dns.test 443 dns.test /p"),
            ("https://dns.test/", DnsTransport::Https, true, "dns.test 443 dns.test /p"),
            ("https://[::1]/q", DnsTransport::Https, true, "::1 443 [::1] /q"),
        ];
        for (text, transport, is_encrypted, want) in rows {
            let place = Place::read(text, transport, is_encrypted, "/p").unwrap();
            let got = format!("{} {} {} {}", place.host, place.port, place.authority, place.path);
            assert_eq!(got, want, "{text}");
        }
        for text in [
            "http://dns.test/",
            "https://",
            "https://u:p@dns.test/",
            "https://a b/",
        ] {
            let error = Place::read(text, DnsTransport::Https, true, "/p").unwrap_err();
            assert_eq!(error, NOT_DOH, "{text}");
        }
    }
}
