//! Proxies: which one a request goes through, and how a tunnel is made through it.

use std::borrow::Cow;

use base64::Engine;
use go_http::no_proxy::NoProxy;

use super::headers::Headers;
use super::url::{Url, UrlError, UserInfo};
use crate::config;

pub use go_http::tunnel::{Reply, TunnelError, connect, socks5};

/// A compiled proxy configuration. Most modules have none.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Option<Box<Settings>>);

#[derive(Clone, Debug, Default)]
struct Settings {
    http: Option<Url>,
    https: Option<Url>,
    no_proxy: NoProxy,
    connect_headers: Headers,
    /// `HTTP_PROXY` in a CGI process may come from a client's `Proxy` header.
    refuses_http: bool,
}

/// `HTTP_PROXY` must not be used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refusing to use HTTP_PROXY value in CGI environment; see golang.org/s/cgihttpproxy")]
pub struct CgiRefused;

impl Proxies {
    /// Compiles the proxy settings of a client.
    ///
    /// # Errors
    /// `proxy_url` is no URL.
    pub fn new(raw: &config::Proxy) -> Result<Self, UrlError> {
        let mut settings = if raw.proxy_from_environment {
            Settings::from_environment(|name| std::env::var(name).ok())
        } else {
            match raw.url() {
                None => return Ok(Self::default()),
                Some(url) if raw.no_proxy.is_empty() => {
                    let url = Url::parse(url)?;
                    Settings {
                        http: Some(url.clone()),
                        https: Some(url),
                        no_proxy: NoProxy::nothing(),
                        ..Settings::default()
                    }
                }
                Some(url) => {
                    Url::parse(url)?;
                    Settings {
                        http: parse(url),
                        https: parse(url),
                        no_proxy: NoProxy::new(&raw.no_proxy),
                        ..Settings::default()
                    }
                }
            }
        };
        for (name, values) in raw.proxy_connect_header.iter().flatten() {
            for value in values {
                // Upstream fills Go's map of headers with the names as they are: `user-agent` goes beside `User-Agent`.
                let headers = &mut settings.connect_headers;
                headers.add_as_written(name.as_bytes(), value.expose().as_bytes());
            }
        }
        Ok(Self(Some(Box::new(settings))))
    }

    /// The proxy that a request to `url` goes through, if any.
    ///
    /// # Errors
    /// `HTTP_PROXY` in a CGI process.
    pub fn for_url(&self, url: &Url) -> Result<Option<&Url>, CgiRefused> {
        self.0.as_ref().map_or(Ok(None), |settings| settings.for_url(url))
    }

    /// The proxies of all schemes.
    pub fn all(&self) -> impl Iterator<Item = &Url> {
        let settings = self.0.iter();
        settings.flat_map(|settings| settings.http.iter().chain(&settings.https))
    }

    /// The fields that go with a CONNECT to `proxy`.
    pub fn connect_headers(&self, proxy: &Url) -> Cow<'_, Headers> {
        let configured = self.0.as_ref().map(|settings| &settings.connect_headers);
        let Some(user) = &proxy.user else {
            return configured.map_or_else(Cow::default, Cow::Borrowed);
        };
        let mut headers = configured.cloned().unwrap_or_default();
        headers.set("Proxy-Authorization", basic(user));
        Cow::Owned(headers)
    }
}

impl Settings {
    fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let any = |names: [&str; 2]| {
            let value = |name: &str| variable(name).filter(|v| !v.is_empty());
            names.into_iter().find_map(value).unwrap_or_default()
        };
        Self {
            http: parse(&any(["HTTP_PROXY", "http_proxy"])),
            https: parse(&any(["HTTPS_PROXY", "https_proxy"])),
            no_proxy: NoProxy::new(&any(["NO_PROXY", "no_proxy"])),
            refuses_http: variable("REQUEST_METHOD").is_some_and(|v| !v.is_empty()),
            connect_headers: Headers::default(),
        }
    }

    fn for_url(&self, url: &Url) -> Result<Option<&Url>, CgiRefused> {
        let proxy = match url.scheme.as_str() {
            "https" => self.https.as_ref(),
            "http" if self.refuses_http && self.http.is_some() => return Err(CgiRefused),
            "http" => self.http.as_ref(),
            _ => None,
        };
        Ok(proxy.filter(|_| !self.no_proxy.exempts(url)))
    }
}

/// A proxy as people write it: a URL, or `host:port` alone.
fn parse(text: &str) -> Option<Url> {
    if text.is_empty() {
        return None;
    }
    let url = Url::parse(text).ok();
    if url
        .as_ref()
        .is_none_or(|u| u.scheme.is_empty() || u.host.is_empty())
        && let Ok(with_scheme) = Url::parse(&format!("http://{text}"))
    {
        return Some(with_scheme);
    }
    url
}

/// Credentials as an `Authorization` field has them (RFC 7617).
pub fn basic(user: &UserInfo) -> String {
    basic_of(&user.name, user.password.as_deref().unwrap_or_default())
}

/// A user name and a password as an `Authorization` field has them (RFC 7617).
pub fn basic_of(name: &[u8], password: &[u8]) -> String {
    let pair = [name, b":", password].concat();
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(environment: &[(&str, &str)], url: &str) -> Option<String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| (*v).to_owned())
        };
        let proxies = Settings::from_environment(variable);
        let url = Url::parse(url).unwrap();
        proxies.for_url(&url).unwrap().map(ToString::to_string)
    }

    #[test]
    fn the_environment_chooses() {
        let proxy = [("http_proxy", "http://p:1"), ("HTTPS_PROXY", "q:2")];
        assert_eq!(chosen(&proxy, "http://a.test/").as_deref(), Some("http://p:1"));
        assert_eq!(chosen(&proxy, "https://a.test/").as_deref(), Some("http://q:2"));
        assert_eq!(chosen(&proxy, "http://localhost/"), None);
        assert_eq!(chosen(&proxy, "http://127.9.9.9/"), None);
        assert_eq!(chosen(&proxy, "http://[::1]/"), None);
        assert_eq!(chosen(&[("ALL_PROXY", "http://p:1")], "http://a.test/"), None);
        let both = [("HTTP_PROXY", ""), ("http_proxy", "p")];
        assert_eq!(chosen(&both, "http://a.test/").as_deref(), Some("http://p"));
        let no = [("HTTP_PROXY", "p"), ("NO_PROXY", "a.test")];
        assert_eq!(chosen(&no, "http://www.a.test/"), None);
        let cgi = Settings::from_environment(|name| {
            matches!(name, "HTTP_PROXY" | "REQUEST_METHOD").then(|| "x".to_owned())
        });
        assert_eq!(cgi.for_url(&Url::parse("http://a/").unwrap()), Err(CgiRefused));
    }

    #[test]
    fn a_proxy_alone_takes_loopback_too() {
        let raw = config::Proxy {
            proxy_url: Some("http://u:p@p:1".to_owned()),
            ..config::Proxy::default()
        };
        let proxies = Proxies::new(&raw).unwrap();
        let url = Url::parse("http://127.0.0.1/").unwrap();
        let proxy = proxies.for_url(&url).unwrap().unwrap();
        assert_eq!(
            proxies.connect_headers(proxy).value("Proxy-Authorization"),
            Some(b"Basic dTpw".as_slice())
        );
    }
}
