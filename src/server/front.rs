//! What happens to a request before an endpoint sees it: the rules of Go's `ServeMux`, the route prefix, and the
//! redirect of `/` to the external URL.

use std::borrow::Cow;

use gostd::query::{Plus, unescape};
use http::header::{EXPECT, HOST, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Uri, Version};

use super::answer::{self, Response};
use crate::net::headers::has_token;
use crate::net::url::{Url, escape_path, valid_host_header};

/// A refusal that Go's server has a form of its own for, over HTTP/1: status and reason in these words.
#[derive(Clone, Copy, Debug)]
pub struct PlainRefusal(pub &'static str);

/// The place of the endpoints below the server's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// `/`, or `/something/`, decoded and without dot segments, as Go joins it with the names of the endpoints.
    path: String,
    /// Whether the landing page is there, too: Go takes its path as it is given, and a path with dot segments is never asked for.
    has_landing: bool,
    /// Where `/` leads when the endpoints are elsewhere.
    external_url: String,
}

impl Prefix {
    /// From `--web.route-prefix`, slashes around it do not matter, and the external URL.
    // compat: upstream ends with a panic when the prefix has a blank, and `{}` in it are wildcards.
    pub fn new(route_prefix: &str, external_url: &str) -> Self {
        let trimmed = route_prefix.trim_matches('/');
        let given = if trimmed.is_empty() {
            "/".to_owned()
        } else {
            format!("/{trimmed}/")
        };
        let path = clean(&given);
        Self {
            has_landing: path == given,
            path: decode_segments(&path).into_owned(),
            external_url: external_url.to_owned(),
        }
    }

    /// Whether paths that no endpoint has lead to the landing page.
    pub fn has_landing(&self) -> bool {
        self.has_landing
    }

    /// `/`, or `/something/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether this path of a request, as it came, is that of an endpoint, which has no slash in front.
    pub fn leads_to(&self, path: &str, endpoint: &str) -> bool {
        decode_segments(path).strip_prefix(self.path.as_str()) == Some(endpoint)
    }

    /// Whether this decoded path is that of the landing page without its last slash.
    fn lacks_slash(&self, path: &str) -> bool {
        self.has_landing && self.path.strip_suffix('/') == Some(path)
    }

    /// Rewrites the path of a request to that of an endpoint, or answers it.
    ///
    /// # Errors
    /// The answer, when no endpoint is to see the request.
    pub fn route(&self, request: &mut Parts) -> Result<(), Box<Response>> {
        check_head(request)?;
        let escaped = request.uri.path();
        if escaped == "*" {
            return Err(Box::new(asterisk(&request.method, request.version)));
        }
        if request.method == Method::CONNECT && escaped.is_empty() {
            return Err(Box::new(answer::not_found()));
        }
        if request.method != Method::CONNECT {
            let clean = clean(escaped);
            if clean != escaped {
                // As in Go, one redirect adds the prefix's last slash, too.
                let path = if self.lacks_slash(&decode_segments(&clean)) {
                    escape_path(&self.path)
                } else {
                    clean
                };
                let location = with_query(&path, request.uri.query());
                let redirect = answer::redirect(&request.method, StatusCode::TEMPORARY_REDIRECT, &location);
                return Err(Box::new(redirect));
            }
        }
        if self.path == "/" && self.has_landing && !escaped.contains('%') {
            return Ok(());
        }
        let path = decode_segments(escaped);
        let elsewhere = self.path != "/" || !self.has_landing;
        let inner = match path.strip_prefix(self.path.as_str()) {
            _ if path == "/" && elsewhere => {
                let redirect = answer::redirect(&request.method, StatusCode::FOUND, &self.external_url);
                return Err(Box::new(redirect));
            }
            Some(inner) => format!("/{inner}"),
            None if self.lacks_slash(&path) => {
                let location = with_query(&escape_path(&self.path), request.uri.query());
                let redirect = answer::redirect(&request.method, StatusCode::TEMPORARY_REDIRECT, &location);
                return Err(Box::new(redirect));
            }
            None => return Err(Box::new(answer::not_found())),
        };
        if inner != escaped {
            let target = with_query(&encode_path(&inner), request.uri.query());
            if let Ok(target) = target.parse() {
                // The host stays: with HTTP/2 it stands nowhere else.
                let mut parts = request.uri.clone().into_parts();
                parts.path_and_query = Some(target);
                if let Ok(uri) = Uri::from_parts(parts) {
                    request.uri = uri;
                }
            }
        }
        Ok(())
    }
}

/// What Go's server answers by itself: HTTP/1.1 wants one `Host` header (RFC 9112, section 3.2), escapes must be whole, and
/// nothing is expected but `100-continue`.
fn check_head(request: &Parts) -> Result<(), Box<Response>> {
    let bad_request = |message: &'static str| {
        let mut response = answer::text(StatusCode::BAD_REQUEST, answer::PLAIN_UTF8, message);
        response.extensions_mut().insert(PlainRefusal(message));
        response
    };
    let mut hosts = request.headers.get_all(HOST).iter();
    // In Go's order: of two faults of one head, the first here is answered.
    let mut response = match (hosts.next(), hosts.next()) {
        _ if !is_url(request) || unescape(request.uri.path(), Plus::IsLiteral).is_none() => {
            bad_request("400 Bad Request")
        }
        (Some(_), Some(_)) => bad_request("400 Bad Request"),
        (None, _) if request.version == Version::HTTP_11 && request.method != Method::CONNECT => {
            bad_request("400 Bad Request: missing required Host header")
        }
        (Some(host), None) if !host.to_str().is_ok_and(valid_host_header) => {
            bad_request("400 Bad Request: malformed Host header")
        }
        _ if expects_something_else(request) => answer::empty(StatusCode::EXPECTATION_FAILED),
        _ => return Ok(()),
    };
    answer::close(&mut response);
    Err(Box::new(response))
}

/// Whether the target of a request over HTTP/1, where it is more than a path, is a URL to Go.
fn is_url(request: &Parts) -> bool {
    let uri = &request.uri;
    if request.version > Version::HTTP_11 || uri.authority().is_none() {
        return true;
    }
    let target = match uri.scheme() {
        None if request.method == Method::CONNECT => format!("http://{uri}"),
        _ => uri.to_string(),
    };
    // A name alone is neither a path nor has a scheme.
    Url::parse(&target).is_ok_and(|url| !url.scheme.is_empty())
}

fn expects_something_else(request: &Parts) -> bool {
    if request.version > Version::HTTP_11 {
        return false;
    }
    let expected = request
        .headers
        .get(EXPECT)
        .map_or(&b""[..], HeaderValue::as_bytes);
    !expected.is_empty() && !has_token(expected, "100-continue")
}

/// `OPTIONS *` is answered by Go's server itself; any other method cannot be applied to it.
fn asterisk(method: &Method, version: Version) -> Response {
    if method == Method::OPTIONS {
        return answer::empty(StatusCode::OK);
    }
    let mut response = answer::empty(StatusCode::BAD_REQUEST);
    if version == Version::HTTP_11 {
        answer::close(&mut response);
    }
    response
}

fn with_query(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

/// Go's `cleanPath`: no double slashes and no dot segments; a slash at the end stays.
fn clean(path: &str) -> Cow<'_, str> {
    let is_clean = path.starts_with('/')
        && path
            .split('/')
            .skip(1)
            .enumerate()
            .all(|(index, segment)| match segment {
                "." | ".." => false,
                "" => index + 2 == path.split('/').count(),
                _ => true,
            });
    if is_clean {
        return Cow::Borrowed(path);
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut clean = format!("/{}", segments.join("/"));
    if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    Cow::Owned(clean)
}

/// Each segment decoded, apart from those that hold an encoded slash: they match nothing.
fn decode_segments(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let decoded: Vec<Cow<'_, str>> = path
        .split('/')
        .map(|segment| match unescape(segment, Plus::IsLiteral) {
            Some(decoded) if !decoded.contains('/') => decoded,
            _ => Cow::Borrowed(segment),
        })
        .collect();
    Cow::Owned(decoded.join("/"))
}

fn encode_path(path: &str) -> Cow<'_, str> {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const UNSAFE: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'?')
        .add(b'#')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'%');
    utf8_percent_encode(path, UNSAFE).into()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// The path that an endpoint sees, or the status and place of the answer.
    fn routed(prefix: &Prefix, path: &str) -> String {
        let request = Request::get(path).header("host", "x").body(()).unwrap();
        let mut request = request.into_parts().0;
        match prefix.route(&mut request) {
            Ok(()) => request.uri.to_string(),
            Err(response) => {
                let location = response
                    .headers()
                    .get("location")
                    .map_or("", |v| v.to_str().unwrap());
                format!("{} {location}", response.status().as_u16())
            }
        }
    }

    #[test]
    fn paths_are_cleaned_as_by_go() {
        let root = Prefix::new("", "http://x");
        for (path, outcome) in [
            ("/", "/"),
            ("/metrics", "/metrics"),
            ("/metrics/", "/metrics/"),
            ("//metrics", "307 /metrics"),
            ("/./metrics", "307 /metrics"),
            ("/x/../metrics", "307 /metrics"),
            ("/x/..", "307 /"),
            ("/a//b/", "307 /a/b/"),
            ("//probe?target=x&module=nope", "307 /probe?target=x&module=nope"),
            ("/%70robe?x=1", "/probe?x=1"),
            ("/-%2Fhealthy", "/-%2Fhealthy"),
            ("/a%20b", "/a%20b"),
        ] {
            assert_eq!(routed(&root, path), outcome, "{path}");
        }
    }

    #[test]
    fn heads_are_judged_as_by_go() {
        // path, header fields, status
        let rows = [
            ("/", &[("host", "x")] as &[_], 0),
            ("/", &[("host", "")], 0),
            ("/", &[], 400),
            ("/", &[("host", "x"), ("host", "x")], 400),
            ("/", &[("host", "a b")], 400),
            ("/%4", &[("host", "x")], 400),
            ("/?%4", &[("host", "x")], 0),
            ("/", &[("host", "x"), ("expect", "100-Continue")], 0),
            ("/", &[("host", "x"), ("expect", "")], 0),
            ("/", &[("host", "x"), ("expect", "more")], 417),
            ("//", &[("host", "x"), ("expect", "more")], 417),
        ];
        let root = Prefix::new("", "http://x");
        for (path, fields, status) in rows {
            let request = fields.iter().fold(Request::get(path), |request, (name, value)| {
                request.header(*name, *value)
            });
            let mut request = request.body(()).unwrap().into_parts().0;
            let answered = root.route(&mut request).err().map_or(0, |r| r.status().as_u16());
            assert_eq!(answered, status, "{path} {fields:?}");
        }
    }

    #[test]
    fn endpoints_move_below_the_prefix() {
        let prefix = Prefix::new("pre/", "http://outside.test/shown");
        for (path, outcome) in [
            ("/", "302 http://outside.test/shown"),
            ("/pre", "307 /pre/"),
            ("/pre?x", "307 /pre/?x"),
            ("/pre/.?x", "307 /pre/?x"),
            ("//pre", "307 /pre/"),
            ("/pre/./probe", "307 /pre/probe"),
            ("/pre/", "/"),
            ("/pre/probe?x=1", "/probe?x=1"),
            ("/probe", "404 "),
            ("/prefix", "404 "),
            ("https://e:1/pre/probe?x=1", "https://e:1/probe?x=1"),
        ] {
            assert_eq!(routed(&prefix, path), outcome, "{path}");
        }
    }

    #[test]
    fn odd_prefixes_are_gos() {
        for (prefix, path, outcome) in [
            ("/a%20b", "/a%20b", "307 /a%20b/"),
            ("/a%20b", "//a%20b", "307 /a%20b/"),
            ("/a%20b", "/a%20b/metrics", "/metrics"),
            ("/a%20b", "/a%2520b/metrics", "404 "),
            ("/a/../b", "/b/metrics", "/metrics"),
            ("/a/../b", "/b", "404 "),
            ("/a/../b", "/", "302 http://x"),
            ("/ä", "/%c3%a4", "307 /%C3%A4/"),
            ("/ä", "/%C3%A4/metrics", "/metrics"),
            (".", "/", "302 http://x"),
            (".", "/metrics", "/metrics"),
            ("/a%2fb", "/a%2fb/metrics", "/metrics"),
        ] {
            assert_eq!(
                routed(&Prefix::new(prefix, "http://x"), path),
                outcome,
                "{prefix} {path}"
            );
        }
    }
}
