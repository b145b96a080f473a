//! What pages of other sites may make a browser ask for: nothing that reloads or probes. And under which names this
//! exporter is asked for, so that a name that was rebound to its address leads nowhere.

use std::net::Ipv6Addr;

use http::header::ORIGIN;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, StatusCode, Uri};

use super::answer::{self, Response};
use super::mount::asked;
use crate::net::url::idna_ascii;

/// What is known of the names of this exporter.
#[derive(Clone, Debug, Default)]
pub struct HostNames {
    /// `--web.allowed-hosts`, in lower case; empty means any.
    allowed: Vec<String>,
    /// Host and port of the external URL, as a browser writes them.
    external: String,
}

/// How a request came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// No browser, a person, or a page of this exporter.
    Own,
    /// Somebody followed a link of another site.
    Link,
    /// A page of another site.
    Foreign,
}

impl HostNames {
    /// From `--web.allowed-hosts`, each a name or `*.` and a domain, and the external URL. A port is ignored.
    ///
    /// # Errors
    /// What is no name of a host.
    pub fn new(allowed: &[String], external_url: &str) -> Result<Self, String> {
        let names = allowed.iter().flat_map(|names| names.split(','));
        let external = external_url.parse::<Uri>().ok();
        let external = external.as_ref().and_then(Uri::authority).map(Authority::as_str);
        let external = external.unwrap_or_default();
        Ok(Self {
            allowed: names
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(|name| allowed_name(name).ok_or_else(|| format!("{name:?} is not the name of a host")))
                .collect::<Result<_, _>>()?,
            external: external
                .rsplit_once('@')
                .map_or(external, |(_, host)| host)
                .to_ascii_lowercase(),
        })
    }

    /// Whether the exporter may be asked for under the name that a request has. An address is no name, and without a
    /// `Host` it was no browser.
    ///
    /// # Errors
    /// The answer, when it may not.
    pub fn is_asked(&self, request: &Parts) -> Result<(), Box<Response>> {
        if self.allowed.is_empty() {
            return Ok(());
        }
        let asked = asked(request).to_ascii_lowercase();
        let host = asked.parse::<Authority>().ok();
        let host = host.as_ref().map_or("", Authority::host).trim_end_matches('.');
        let is_address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
        let matches = |name: &String| match name.strip_prefix('*') {
            Some(domain) => host.ends_with(domain),
            None => host == name,
        };
        if asked.is_empty() || is_address || self.allowed.iter().any(matches) {
            return Ok(());
        }
        Err(Box::new(answer::error(
            StatusCode::MISDIRECTED_REQUEST,
            "this exporter is not known by the name in the Host header, see --web.allowed-hosts",
        )))
    }

    /// Whether a request may start a probe: a page of another site cannot make a browser do it, but a person may follow
    /// its link.
    ///
    /// # Errors
    /// The answer, when it may not.
    pub fn may_probe(&self, request: &Parts) -> Result<(), Box<Response>> {
        match self.source(request) {
            Source::Own | Source::Link => Ok(()),
            Source::Foreign => Err(refused("probe")),
        }
    }

    /// Whether a request may change something.
    ///
    /// # Errors
    /// The answer, when it may not.
    pub fn may_change(&self, request: &Parts) -> Result<(), Box<Response>> {
        match self.source(request) {
            Source::Own => Ok(()),
            Source::Link | Source::Foreign => Err(refused("change anything")),
        }
    }

    /// As Go's `CrossOriginProtection`: what the browser says, and without that, whether the origin is the host that was
    /// asked.
    fn source(&self, request: &Parts) -> Source {
        let headers = &request.headers;
        match text(headers, "sec-fetch-site") {
            Some("same-origin" | "none") => return Source::Own,
            Some(_) => {
                let followed = text(headers, "sec-fetch-user") == Some("?1")
                    && text(headers, "sec-fetch-dest") == Some("document")
                    && request.method.is_safe();
                return if followed { Source::Link } else { Source::Foreign };
            }
            None => {}
        }
        let Some(origin) = headers.get(ORIGIN) else {
            return Source::Own;
        };
        let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let host = host.map_or("", |(_, host)| host);
        let is_own = !host.is_empty()
            && (host.eq_ignore_ascii_case(asked(request)) || host.eq_ignore_ascii_case(&self.external));
        if is_own { Source::Own } else { Source::Foreign }
    }
}

/// An allowed name as the `Host` of a request has it: in ASCII and lower case.
fn allowed_name(name: &str) -> Option<String> {
    let address = name.split_once('%').map_or(name, |(address, _)| address);
    if address.parse::<Ipv6Addr>().is_ok() {
        // As every address, it is allowed anyway.
        return Some(name.to_ascii_lowercase());
    }
    let (wildcard, name) = name.strip_prefix("*.").map_or(("", name), |name| ("*.", name));
    let host = idna_ascii(name).parse::<Authority>().ok()?;
    let is_host = !host.as_str().contains(['@', '*']) && !host.host().is_empty();
    let host = host.host().trim_end_matches('.').to_ascii_lowercase();
    is_host.then(|| format!("{wildcard}{host}"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn refused(what: &str) -> Box<Response> {
    let message = format!("cross-origin request refused: pages of other sites cannot {what} here");
    Box::new(answer::error(StatusCode::FORBIDDEN, &message))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn request(method: &str, fields: &[(&str, &str)]) -> Parts {
        let request = fields.iter().fold(
            Request::builder().method(method).uri("/x"),
            |request, (name, value)| request.header(*name, *value),
        );
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn pages_of_others_can_do_nothing() {
        let names = HostNames::new(&[], "https://outside.test/x").unwrap();
        let clicked = &[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-user", "?1"),
            ("sec-fetch-dest", "document"),
        ];
        // method, header fields, may probe, may change
        let rows = [
            ("GET", &[] as &[_], true, true),
            ("POST", &[("sec-fetch-site", "same-origin")], true, true),
            ("POST", &[("sec-fetch-site", "none")], true, true),
            ("POST", &[("sec-fetch-site", "same-site")], false, false),
            ("GET", &[("sec-fetch-site", "cross-site")], false, false),
            ("GET", clicked, true, false),
            ("POST", clicked, false, false),
            (
                "GET",
                &[("host", "e:9115"), ("origin", "http://e:9115")],
                true,
                true,
            ),
            (
                "GET",
                &[("host", "e:9115"), ("origin", "http://E:9115")],
                true,
                true,
            ),
            ("GET", &[("host", "e:9115"), ("origin", "http://e")], false, false),
            ("GET", &[("host", "e:9115"), ("origin", "null")], false, false),
            (
                "POST",
                &[("host", "inside:1"), ("origin", "https://outside.test")],
                true,
                true,
            ),
        ];
        for (method, fields, probes, changes) in rows {
            let request = request(method, fields);
            let may = (
                names.may_probe(&request).is_ok(),
                names.may_change(&request).is_ok(),
            );
            assert_eq!(may, (probes, changes), "{method} {fields:?}");
        }
    }

    #[test]
    fn names_that_are_not_ours_lead_nowhere() {
        let names =
            |names: &[&str]| HostNames::new(&names.iter().map(|&s| s.to_owned()).collect::<Vec<_>>(), "");
        let any = names(&["", " , "]).unwrap();
        let some = names(&[
            "bbe.test, B.test",
            "*.corp.test",
            "port.test:9115",
            "Bücher.test",
            "*.bücher.test:80",
            "dot.test.",
            "fe80::1%eth0,::1",
        ])
        .unwrap();
        for (host, allowed) in [
            ("bbe.test:9115", true),
            ("b.TEST", true),
            ("b.test.:80", true),
            ("x.corp.test", true),
            ("corp.test", false),
            ("evil.test:9115", false),
            ("xbbe.test", false),
            ("192.0.2.1:9115", true),
            ("[::1]:9115", true),
            ("localhost", false),
            ("port.test:9115", true),
            ("port.test", true),
            ("xn--bcher-kva.test:9115", true),
            ("a.xn--bcher-kva.test", true),
            ("dot.test", true),
        ] {
            let request = request("GET", &[("host", host)]);
            assert!(any.is_asked(&request).is_ok(), "{host}");
            assert_eq!(some.is_asked(&request).is_ok(), allowed, "{host}");
        }
        assert!(some.is_asked(&request("GET", &[])).is_ok());
        for wrong in [
            "http://a.test",
            "a.test/",
            "a b",
            "a@b",
            "*",
            "*a.test",
            "a.*",
            ":9115",
        ] {
            let said = names(&[wrong]).unwrap_err();
            assert_eq!(said, format!("{wrong:?} is not the name of a host"));
        }
    }
}
