//! Where a request found the endpoints, and under which name.

use gostd::query::Query;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

/// Where the endpoints are, for those that name each other.
#[derive(Clone, Copy, Debug)]
pub struct Mount<'a> {
    /// `/`, or `/something/`.
    pub path: &'a str,
    /// Whether the request came over TLS.
    pub tls: bool,
    /// The request.
    pub request: &'a Parts,
}

impl<'a> Mount<'a> {
    /// The request's query.
    pub fn query(&self) -> Query<'a> {
        Query(self.request.uri.query().unwrap_or("").as_bytes())
    }

    /// Host and port that the caller asked, if they are that.
    pub fn host(&self) -> Option<String> {
        let asked = asked(self.request);
        let authority = asked.parse::<Authority>().ok()?;
        (!authority.host().is_empty() && !asked.contains('@')).then(|| asked.to_owned())
    }

    /// Whether the caller speaks TLS, to us or to a proxy before us.
    pub fn is_https(&self) -> bool {
        let forwarded = self.request.headers.get("x-forwarded-proto");
        self.tls || forwarded.is_some_and(|scheme| scheme == "https")
    }
}

/// Host and port that the caller asked; HTTP/2 has them in its `:authority`.
pub fn asked(request: &Parts) -> &str {
    let host = || request.headers.get(HOST)?.to_str().ok();
    let authority = request.uri.authority().map(Authority::as_str);
    authority.or_else(host).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn the_host_is_the_callers() {
        let of = |uri: &str, value: Option<&str>| {
            let mut request = Request::get(uri);
            if let Some(value) = value {
                request = request.header(HOST, value);
            }
            let (request, ()) = request.body(()).unwrap().into_parts();
            let mount = Mount {
                path: "/",
                tls: false,
                request: &request,
            };
            mount.host()
        };
        assert_eq!(of("/targets", Some("e:9115")).as_deref(), Some("e:9115"));
        assert_eq!(of("/targets", Some("[::1]:9115")).as_deref(), Some("[::1]:9115"));
        assert_eq!(of("http://e2:1/targets", None).as_deref(), Some("e2:1"));
        assert_eq!(of("/targets", None), None);
        assert_eq!(of("/targets", Some("a b")), None);
        assert_eq!(of("/targets", Some("user@e")), None);
    }
}
