//! Proxy URLs: judged when they are read, printed with their password as `xxxxx`.
//!
//! This is the one place where the configuration leans on another room: a second parser of URLs would come to differ
//! from the one that uses them.

use super::decode::Decoder;
use super::tree::Tree;
use super::value::Codec;
use super::yaml::Id;
use crate::net::url::{Url, UrlError};

/// A URL as prometheus/common holds it: an empty one is not the same as none.
pub(crate) struct ProxyUrl;

impl Codec<Option<String>> for ProxyUrl {
    fn decode(place: &mut Option<String>, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let Some(text) = d.text(node) else { return false };
            if let Err(error) = Url::parse(&*text) {
                let help = "a proxy URL is like http://proxy.example:3128 or socks5://user:password@proxy.example:1080";
                d.report(node, reason(&text, &error), Some(help.to_owned()));
                return false;
            }
            *place = Some(text.into_owned());
            true
        })
    }
    fn is_zero(place: &Option<String>) -> bool {
        place.is_none()
    }
    fn tree(place: &Option<String>) -> Tree {
        let text = place.as_deref().unwrap_or_default();
        Tree::text(Url::parse(text).map_or_else(|_| String::new(), |url| url.to_string()))
    }
}

/// Why the text is no URL. What is odd in a URL with a password may be a part of it (`http://user:pass/word@proxy`).
fn reason(text: &str, error: &UrlError) -> String {
    match error {
        UrlError::Plain(_) => error.to_string(),
        _ if text.contains('@') => {
            "invalid host, or characters in the user name or password that must be written as %2F, %3A, …"
                .to_owned()
        }
        _ => error.to_string(),
    }
}
