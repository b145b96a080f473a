//! A request of the chain that redirects make.

use std::borrow::Cow;
use std::net::IpAddr;

use super::error::RoundTripError;
use crate::net::headers::{Headers, is_sendable_value, is_token};
use crate::net::url::{Url, idna_host_port};

/// A request, before headers of the transport and credentials are added.
#[derive(Clone, Debug)]
pub(super) struct HttpRequest<'m> {
    pub(super) method: Cow<'m, str>,
    /// Where it goes; the target's name is replaced by the address that was chosen, as upstream does.
    pub(super) url: Url,
    /// The `Host` field; empty: the URL's host.
    pub(super) host: String,
    pub(super) headers: Cow<'m, Headers>,
    /// Whether some redirect led to another host: credentials stay here then.
    pub(super) crossed_hosts: bool,
}

impl HttpRequest<'_> {
    /// What the peer is told to be called.
    pub(super) fn host(&self) -> Cow<'_, str> {
        if self.host.is_empty() {
            idna_host_port(&self.url.host)
        } else {
            Cow::Borrowed(&self.host)
        }
    }
}

/// Refuses what cannot be sent.
pub(super) fn check_sendable(request: &HttpRequest<'_>, headers: &Headers) -> Result<(), RoundTripError> {
    let refuse = |text: String| Err(RoundTripError::Request(text));
    let scheme = request.url.scheme.as_str();
    if !matches!(scheme, "http" | "https") {
        return refuse(format!("unsupported protocol scheme {scheme:?}"));
    }
    for (name, value) in headers.iter() {
        let shown = || String::from_utf8_lossy(name);
        if !is_token(name) {
            return refuse(format!("net/http: invalid header field name {:?}", shown()));
        }
        if !is_sendable_value(value) {
            // Without the value, which may be a secret.
            return refuse(format!("net/http: invalid header field value for {:?}", shown()));
        }
    }
    if request.url.host.is_empty() {
        return refuse("http: no Host in request URL".to_owned());
    }
    Ok(())
}

/// Whether `host` is `parent` or a name below it.
pub(super) fn is_same_or_below(host: &str, parent: &str) -> bool {
    if parent.is_empty() {
        return false;
    }
    if host.eq_ignore_ascii_case(parent) {
        return true;
    }
    // No name has colons or percent signs; an IPv6 zone must not pass for a domain.
    let is_name = !host.contains([':', '%']) && parent.parse::<IpAddr>().is_err();
    let (host, parent) = (host.to_ascii_lowercase(), parent.to_ascii_lowercase());
    is_name && host.strip_suffix(&parent).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_below_others_are_known() {
        assert!(is_same_or_below("a.test", "a.test"));
        assert!(is_same_or_below("www.A.test", "a.test"));
        assert!(!is_same_or_below("xa.test", "a.test"));
        assert!(!is_same_or_below("a.test", "www.a.test"));
        assert!(!is_same_or_below("::1%.a.test", "a.test"));
        assert!(!is_same_or_below("a.test", ""));
    }
}
