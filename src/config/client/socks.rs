//! `proxy_url`, `proxy_username` and `proxy_password` of the tcp prober (ours, by the names of upstream's pull request 1564): a
//! SOCKS5 proxy.

use std::fmt;

use go_yaml::Id;
use gostd::url::{Url, UserInfo};

use super::url::ProxyUrl;
use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::secret::Secret;
use crate::config::codec::section::{Section, section};
use crate::config::codec::tree::Tree;
use crate::config::codec::value::{Sent, Variant};

/// The longest name or password that SOCKS5 can carry, in bytes (RFC 1929).
const LONGEST: usize = 255;

section! {
    /// The proxy that connections go through.
    #[derive(Clone, PartialEq, Eq)]
    pub struct SocksProxy {
        /// `socks5://` or `socks5h://`, with `user:password@` if need be. An empty one means none.
        omit proxy_url: Option<String> as SocksUrl,
        /// The user, if the URL has none.
        omit proxy_username: String as Sent,
        /// The user's password.
        omit proxy_password: Secret,
    }
}

impl fmt::Debug for SocksProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.proxy_url.as_ref().map(|_| ProxyUrl::tree(&self.proxy_url));
        f.debug_struct("SocksProxy")
            .field("proxy_url", &url)
            .field("proxy_username", &self.proxy_username)
            .field("proxy_password", &self.proxy_password)
            .finish()
    }
}

impl Section for SocksProxy {}

/// As [`ProxyUrl`], of a SOCKS5 proxy.
struct SocksUrl;

impl Variant<Option<String>> for SocksUrl {
    fn decode(place: &mut Option<String>, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        ProxyUrl::decode(place, node, d)
    }
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::url(["socks5", "socks5h"])
    }
    fn tree(place: &Option<String>) -> Tree {
        ProxyUrl::tree(place)
    }
}

impl SocksProxy {
    /// The proxy with its user, if there is one.
    pub fn url(&self) -> Option<Url> {
        let text = self.proxy_url.as_deref().filter(|url| !url.is_empty())?;
        // Invariant: what is no URL was refused when the configuration was read.
        let mut url = Url::parse(text).ok()?;
        if !self.proxy_username.is_empty() {
            url.user = Some(UserInfo {
                name: self.proxy_username.clone().into_bytes(),
                password: Some(self.proxy_password.expose().as_bytes().to_vec()),
            });
        }
        Some(url)
    }

    /// Checks what was read from the section at `node`.
    pub(crate) fn judge(&self, node: Id, d: &mut Decoder<'_, '_>) {
        let has_user = !self.proxy_username.is_empty() || !self.proxy_password.is_empty();
        let Some(url) = self.url() else {
            if has_user && !d.is_blamed("proxy_url") {
                let field = match self.proxy_username.is_empty() {
                    true => "proxy_password",
                    false => "proxy_username",
                };
                d.report_field(
                    node,
                    field,
                    format!("{field} has no effect without proxy_url"),
                    None,
                );
            }
            return;
        };
        if !matches!(url.scheme.as_str(), "socks5" | "socks5h") || url.hostname().is_empty() {
            let help = "write socks5h://HOST:PORT, or socks5://HOST:PORT to have names looked up here";
            let message = "the tcp prober goes through SOCKS5 proxies only";
            d.report_field(node, "proxy_url", message, help);
        }
        if has_user && self.proxy_username.is_empty() {
            let message = "proxy_password has no effect without proxy_username";
            d.report_field(node, "proxy_password", message, None);
        }
        let given = Url::parse(self.proxy_url.as_deref().unwrap_or_default()).ok();
        if has_user && given.is_some_and(|url| url.user.is_some()) {
            let message = "proxy_url has a user already: proxy_username and proxy_password are another one";
            d.report_field(node, "proxy_username", message, "leave out one of the two");
        }
        if let Some(user) = &url.user {
            let password = user.password.as_deref().unwrap_or_default();
            if user.name.is_empty() || user.name.len() > LONGEST || password.len() > LONGEST {
                let message = format!(
                    "the proxy's user and password must have at most {LONGEST} bytes each, and the user at least one"
                );
                d.report_field(node, "proxy_url", message, None);
            }
        }
    }
}
