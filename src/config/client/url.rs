//! URLs that may have a password, which is printed as `xxxxx`. Those of proxies are judged when they are read.
//!
//! This is the one place where the configuration leans on another room: a second parser of URLs would come to differ
//! from the one that uses them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use go_yaml::Id;
use gostd::carried;
use gostd::url::{Url, UrlError};

use crate::config::codec::confidential::MASK;
use crate::config::codec::decode::Decoder;
use crate::config::codec::environment::Purpose;
use crate::config::codec::tree::Tree;
use crate::config::codec::value::{Value, Variant};

/// A URL as prometheus/common holds it: an empty one is not the same as none.
pub(crate) struct ProxyUrl;

impl Variant<Option<String>> for ProxyUrl {
    fn decode(place: &mut Option<String>, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        let parse = |text: &str| match Url::parse(text) {
            Ok(_) => Ok(Some(text.to_owned())),
            Err(error) => Err((
                reason(text, &error),
                "a proxy URL is like http://proxy.example:3128 or socks5://user:password@proxy.example:1080",
            )),
        };
        d.expanding(Some(Purpose::Url), |d| d.parsed(node, place, parse))
    }
    fn tree(place: &Option<String>) -> Tree {
        let text = place.as_deref().unwrap_or_default();
        Tree::text(Url::parse(text).map_or_else(|_| String::new(), |url| printed(&url)))
    }
}

/// A URL that may have a password, which is printed as `xxxxx`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UrlText(String);

impl UrlText {
    fn shown(&self) -> String {
        match Url::parse(&self.0) {
            // compat: upstream prints the password.
            Ok(url) if self.0.contains('@') => printed(&url),
            Err(_) if self.0.contains('@') => MASK.to_owned(),
            _ => self.0.clone(),
        }
    }
}

impl From<&str> for UrlText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Deref for UrlText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl Value for UrlText {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.expanding(Some(Purpose::Url), |d| self.0.decode(node, d))
    }
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn tree(&self) -> Tree {
        Tree::text(self.shown())
    }
}

/// A URL with its password as `xxxxx`. In `user:password@host`, which lacks `//`, the parser finds no password.
fn printed(url: &Url) -> String {
    match url.opaque.contains(&b'@') {
        // compat: upstream prints it.
        true => MASK.to_owned(),
        false => url.to_string(),
    }
}

/// A URL with the mask in place of its user. A text that may have one and is no URL with a host is not shown at all.
pub(crate) fn without_user(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return text.into();
    }
    match Url::parse(text) {
        Ok(url) if url.host.is_empty() => MASK.into(),
        Ok(url) if url.user.is_some() => {
            let bare = carried::owned(url.without_user());
            bare.replacen("//", &format!("//{MASK}@"), 1).into()
        }
        Ok(_) => text.into(),
        Err(_) => MASK.into(),
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
