//! HTTP responses that are invalid or do not match the module.

use super::nearest::nearest;
use super::{name, quoted};
use crate::check::Regexp;
use crate::check::cel::CelFailure;
use crate::module::{Http, Kind};
use crate::net::headers::{Headers, canonical};
use crate::net::http1::{ExchangeError, HeadError, WriteError};
use crate::net::http2::Http2Error;
use crate::net::http3::Http3Error;
use crate::net::oauth2::OAuth2Error;
use crate::prober::http::error::RoundTripError;
use crate::prober::{Failure, Hop};
use crate::reason::Reason;

/// What is known of a response whose status is not valid.
pub(in crate::prober) struct InvalidStatus<'a> {
    pub status: u16,
    pub headers: &'a Headers,
    pub module: &'a Http,
    /// All hops.
    pub hops: &'a [Hop],
    /// Whether it is a redirect that was not followed.
    pub unfollowed: bool,
    /// Whether a proxy was asked to forward the request.
    pub to_proxy: bool,
    /// The beginning of the body.
    pub body: &'a [u8],
}

fn text(headers: &Headers, field: &str) -> Option<String> {
    headers
        .value(&canonical(field))
        .map(|value| name(&String::from_utf8_lossy(value)))
}

/// The places of a chain of redirects, with what repeats once more and `…`.
pub(in crate::prober) fn places(hops: &[Hop]) -> String {
    let mut shown: Vec<&str> = Vec::new();
    for hop in hops {
        let again = shown.contains(&hop.name.as_str());
        shown.push(&hop.name);
        if again || shown.len() > 10 {
            break;
        }
    }
    let mut places = shown
        .into_iter()
        .map(|hop| crate::display::short(hop, 100))
        .collect::<Vec<_>>();
    if places.len() < hops.len() {
        places.push("…".to_owned());
    }
    places.join(" -> ")
}

/// Where a request without a response was sent, if that is not the target.
pub(super) fn redirected(kind: &Kind, failure: Failure, hops: &[Hop]) -> Option<String> {
    let (Kind::Http(_), [.., from, to]) = (kind, hops) else {
        return None;
    };
    let is_response = to.answer.is_some() || failure.reason == Reason::HttpRedirects;
    (!is_response).then(|| {
        format!(
            "After a redirect from {} to {}:",
            name(&from.name),
            name(&to.name)
        )
    })
}

pub(in crate::prober) fn status(of: &InvalidStatus<'_>) -> String {
    let mut line = by_status(of);
    if of.to_proxy && matches!(of.status, 403 | 502..=504) {
        line.push_str(" The peer here is the proxy of proxy_url: it may respond so itself, because it does not allow the target or does not reach it.");
    }
    line
}

fn by_status(of: &InvalidStatus<'_>) -> String {
    let has_credentials = of.module.credentials.is_some() || of.module.headers.has_text("Authorization");
    let server = text(of.headers, "Server")
        .map(|server| format!(", Server: {server}"))
        .unwrap_or_default();
    let method = &of.module.method;
    let tls = of.hops.last().and_then(|hop| hop.tls.as_ref());
    let lacks_certificate = tls.is_some_and(|tls| tls.lacks_certificate);
    match of.status {
        300..=399 if of.unfollowed && of.module.follow_redirects => format!(
            "The redirects do not end: {}. Often a proxy ends TLS and the service redirects http to https forever (X-Forwarded-Proto is missing), or a login page expects a cookie.",
            places(of.hops)
        ),
        status @ (301 | 302 | 303 | 307 | 308) if of.unfollowed => format!(
            "The response redirects to {}, and follow_redirects is false: follow, probe that URL, or list {status} in valid_status_codes.",
            text(of.headers, "Location").unwrap_or_default()
        ),
        status @ (307 | 308) if of.headers.has_text("Location") => format!("The redirect {status} asks for the body once more, which is in a file (body_file) and not sent again: write it into body, or probe {} itself.", text(of.headers, "Location").unwrap_or_default()),
        status @ 300..=399 => format!("Status {status} without a Location that could be followed: list it in valid_status_codes if that is right."),
        400 if let Some(line) = client_certificate(of.body) => line,
        400 if speaks_tls(of.body) => "The port expects TLS and got plain HTTP: write https:// in the target.".to_owned(),
        400 => format!("The server does not understand the request (400{server}): check Host, headers and body of the module. The response begins {}.", quoted(of.body)),
        401 => {
            let scheme = text(of.headers, "WWW-Authenticate").unwrap_or_else(|| "no scheme".to_owned());
            if has_credentials {
                format!("The server does not accept the module's credentials (401, it asks for {scheme}): they are wrong, expired, or of another scheme. After a redirect to another host none are sent.")
            } else {
                format!("The server requires credentials (401, {scheme}) and the module has none: set basic_auth, authorization or oauth2, or list 401 in valid_status_codes if that is what you expect.")
            }
        }
        403 if lacks_certificate => format!("The server forbids it (403{server}), and had asked for a client certificate: set cert_file and key_file in tls_config, or it blocks this host's address."),
        403 => match has_credentials {
            true => "The credentials are accepted and do not suffice (403): give that account the right, or check whether this host's address is blocked.".to_owned(),
            false => format!("The server forbids it (403{server}): it requires credentials, another Host or User-Agent, or blocks this host's address."),
        },
        404 => format!("The path does not exist there (404): check {}, and Host, which chooses the site on a shared server.", of.hops.last().map(|hop| crate::display::short(&hop.name, 200)).unwrap_or_default()),
        405 => format!("The server does not serve {method} here (405): it allows {}. Set method.", text(of.headers, "Allow").unwrap_or_else(|| "another method".to_owned())),
        406 | 415 => format!("Content negotiation failed ({}): set Accept or Content-Type under headers.", of.status),
        407 => "A proxy on the way requires credentials (407): put them into proxy_url.".to_owned(),
        408 => format!("The server gave up waiting for the request (408{server}): something on the way holds it back, or the body that the module announces does not come."),
        504 => format!("A proxy or load balancer gave up waiting for the service (504{server}): the service is slow or hangs."),
        413 => format!("The server does not accept a body as long as the module's (413{server})."),
        431 => format!("The server does not accept headers as long as the request's (431{server}): cookies, or headers of the module."),
        411 => "The server requires a Content-Length (411): set body, or another method.".to_owned(),
        421 => "The server does not serve this name on this connection (421): Host and the name sent in TLS differ; set hostname, or server_name, to the same name.".to_owned(),
        426 => "The server requires another protocol (426): set enable_http2, or use a module with prober: websocket.".to_owned(),
        429 => format!("Too many requests (429{}): probe less often, or exempt the exporter.", text(of.headers, "Retry-After").map(|after| format!(", retry after {after} s")).unwrap_or_default()),
        502 => format!("This response comes from a proxy or load balancer, not from the service (502{server}): its backend is down, starting or out of rotation."),
        520..=527 => format!("The content delivery network that responds cannot reach the service behind it, or not agree with it on TLS ({}{server}): look at that service.", of.status),
        503 => format!("The service, or a proxy or load balancer before it, is not available (503{server}): down, starting, overloaded or out of rotation."),
        500..=599 => format!("The service itself fails ({}{server}); its log says why. The body begins {}.", of.status, quoted(of.body)),
        status => format!("Status {status} is not one of the module's valid_status_codes: list it there if it is right."),
    }
}

fn says(body: &[u8], words: &str) -> bool {
    body.windows(words.len()).any(|window| window == words.as_bytes())
}

/// Whether a body is what servers of TLS say to plain HTTP: nginx, Go, Apache.
pub fn speaks_tls(body: &[u8]) -> bool {
    says(body, "plain HTTP request was sent to HTTPS port")
        || says(body, "Client sent an HTTP request to an HTTPS server")
        || says(body, "speaking plain HTTP to an SSL-enabled server port")
}

/// What nginx says instead of the alert of TLS (RFC 8446, section 6.2).
fn client_certificate(body: &[u8]) -> Option<String> {
    let alerts = [
        ("No required SSL certificate was sent", 116),
        ("The SSL certificate error", 42),
    ];
    let (_, alert) = alerts.into_iter().find(|(words, _)| says(body, words))?;
    super::tls::after_handshake(alert)
}

/// A header that does not satisfy its expression.
pub(in crate::prober) fn header(header: &str, regexp: &Regexp, wanted: bool, values: &[&[u8]]) -> String {
    match values.first() {
        None => format!(
            "The response has no header {}: is it set by a proxy that is not on this way? allow_missing: true accepts it.",
            name(header)
        ),
        Some(value) if wanted => format!(
            "Expected in {}: {}; {}.",
            name(header),
            quoted(regexp.source().as_bytes()),
            nearest(regexp, value)
        ),
        Some(value) => format!(
            "{} is {}, which {} must not match.",
            name(header),
            quoted(value),
            quoted(regexp.source().as_bytes())
        ),
    }
}

/// What is known of a body that does not satisfy the module.
pub(in crate::prober) struct InvalidBody<'a> {
    pub headers: &'a Headers,
    pub module: &'a Http,
    /// Its beginning, as it was judged.
    pub head: &'a [u8],
}

impl InvalidBody<'_> {
    /// A body that came compressed and is judged as it came.
    fn is_compressed(&self) -> Option<String> {
        let encoding = text(self.headers, "Content-Encoding")?;
        let known = ["gzip", "br", "deflate"].contains(&encoding.as_str());
        let why = match self.module.headers.has_text("Accept-Encoding") {
            true => ", as Accept-Encoding in the module allows",
            false => " although the request did not allow it",
        };
        (self.module.compression == crate::module::http::Compression::Identity && known).then(|| {
            format!("The body is compressed (Content-Encoding: {encoding}){why}: compression: {encoding} in the module undoes it before the check.")
        })
    }

    /// An expression that should have matched.
    pub(in crate::prober) fn missing(&self, regexp: &Regexp) -> String {
        if let Some(line) = self.is_compressed() {
            return line;
        }
        let mut line = format!(
            "Expected in the body: {}; {}.",
            quoted(regexp.source().as_bytes()),
            nearest(regexp, self.head)
        );
        if self.module.method == "HEAD" {
            line.push_str(" method: HEAD requests no body.");
        }
        line
    }

    /// An expression that should not have matched.
    pub(in crate::prober) fn unwanted(&self, regexp: &Regexp) -> String {
        let found = regexp.captures(self.head);
        let found = found.as_ref().and_then(|found| found.group(0));
        let at = found.map_or_else(|| "text".to_owned(), |found| quoted(found).to_string());
        format!(
            "The body contains {at}, which {} must not match: the service reports an error, or the expression is too wide.",
            quoted(regexp.source().as_bytes())
        )
    }

    fn says_json(&self) -> bool {
        text(self.headers, "Content-Type").is_some_and(|kind| kind.contains("json"))
    }

    /// A body that is no JSON, or that a CEL expression does not hold for.
    pub(in crate::prober) fn json(&self, wrong: &CelFailure) -> Option<String> {
        if let Some(line) = self.is_compressed() {
            return Some(line);
        }
        let begins = quoted(self.head);
        Some(match wrong {
            CelFailure::NotJson if self.head.is_empty() => {
                "The body is empty, so that no expression can be judged: check method and path.".to_owned()
            }
            CelFailure::NotJson
                if self.says_json() && matches!(self.head.trim_ascii_start(), [b'{' | b'[', ..]) =>
            {
                format!(
                    "The body says that it is JSON (Content-Type) and is not, or breaks off; it begins {begins}: the service writes it wrong. Try `curl -sS URL | jq .`."
                )
            }
            CelFailure::NotJson => format!(
                "The body is not JSON (Content-Type: {}), it begins {begins}: an error or login page, or the wrong path.",
                text(self.headers, "Content-Type").unwrap_or_else(|| "none".to_owned())
            ),
            CelFailure::DoesNotHold(expression) => format!(
                "Expected: {}; the body begins {begins}.",
                quoted(expression.as_bytes())
            ),
            CelFailure::Holds(expression) => format!(
                "Not expected: {}; the body begins {begins}.",
                quoted(expression.as_bytes())
            ),
            CelFailure::NotEvaluated(why) if why.contains("operation interrupted") => format!(
                "The evaluation did not come to its end ({}): have the expression compare fields instead of looping over long lists or building long values.",
                name(why)
            ),
            CelFailure::NotEvaluated(why) => format!(
                "The expression cannot be evaluated ({}): mostly a field has another name or type, `has(body.field)` asks for it. The body begins {begins}.",
                name(why)
            ),
            CelFailure::TooLarge { is_untrusted } => too_large_for_cel(*is_untrusted),
            CelFailure::Unknown => return None,
        })
    }

    /// A body that ended before its end.
    pub(in crate::prober) fn ended(&self, count: u64) -> String {
        let announced = text(self.headers, "Content-Length").map(|length| format!(" of {length}"));
        format!(
            "The body broke off after {count}{} bytes: the service failed while it was sending, a proxy between gave up, or Content-Length is wrong. Try `curl -v URL`.",
            announced.unwrap_or_default()
        )
    }

    /// A body that cannot be decompressed.
    pub(in crate::prober) fn undecodable(&self) -> String {
        match text(self.headers, "Content-Encoding") {
            Some(encoding) => format!("The response says Content-Encoding: {encoding}: set compression to that, or remove it; if it is right, the body is damaged or cut off."),
            None => "The response is not compressed (no Content-Encoding) and compression expects it: remove it, or set Accept-Encoding under headers so that the server compresses.".to_owned(),
        }
    }
}

/// A body longer than its limit.
pub(in crate::prober) fn too_large(limit: u64) -> String {
    format!("The body is longer than body_size_limit ({limit} bytes): raise it, or probe a smaller page.")
}

/// A body longer than a CEL expression may judge, which is less for one of an untrusted author.
pub(in crate::prober) fn too_large_for_cel(is_untrusted: bool) -> String {
    match is_untrusted {
        true => "A CEL expression from the playground or a scrape's parameter judges a body of 1 MiB at most: write it into the module in the configuration file, or probe a smaller page.",
        false => "The body is too large for CEL: probe a smaller page.",
    }
    .to_owned()
}

/// A version that is not valid.
pub(in crate::prober) fn version(protocol: &str, module: &Http) -> String {
    let valid = module.valid_http_versions.join(", ");
    if module
        .valid_http_versions
        .iter()
        .any(|valid| valid == "HTTP/2" || valid == "HTTP/3")
    {
        return format!(
            "valid_http_versions lists {}; the names are HTTP/1.0, HTTP/1.1, HTTP/2.0 and HTTP/3.0.",
            name(&valid)
        );
    }
    format!(
        "The response came over {}, and valid_http_versions allows {}: the server or a proxy before it does not offer it, HTTP/2 needs https and enable_http2: true.",
        name(protocol),
        name(&valid)
    )
}

/// The last response came over TLS, or did not.
pub(in crate::prober) fn encryption(is_tls: bool, hops: &[Hop]) -> String {
    let last = hops
        .last()
        .map(|hop| crate::display::short(&hop.name, 200))
        .unwrap_or_default();
    match is_tls {
        true => format!(
            "fail_if_ssl is set, and {last} came over TLS: the server redirects to https, or the target begins with https://."
        ),
        false => format!(
            "fail_if_not_ssl is set, and {last} came without TLS: write https:// in the target, or have the server redirect to it."
        ),
    }
}

/// A redirect whose place is no URL.
pub(in crate::prober) fn location(value: &[u8]) -> String {
    format!(
        "The redirect's Location is not a URL, {}: the service, or a proxy before it, writes it wrong.",
        quoted(value)
    )
}

/// A redirect to what the prober does not speak.
pub(in crate::prober) fn other_scheme(scheme: &str) -> Option<String> {
    Some(format!(
        "The redirect leads to a URL with the scheme {}, which no http prober follows: an app or a script is meant, or the service writes it wrong. With follow_redirects: false, list the status in valid_status_codes.",
        name(scheme)
    ))
}

/// A request without a response. `to_proxy` says that a proxy was asked to forward it.
pub(in crate::prober) fn no_response(error: &RoundTripError, scheme: &str, to_proxy: bool) -> Option<String> {
    if to_proxy && matches!(error, RoundTripError::TimedOut { .. }) {
        return Some("The proxy of proxy_url accepted the request and did not respond in time: the target is slow or filtered as seen from the proxy, or the proxy hangs. Try `curl -v --proxy PROXY URL`.".to_owned());
    }
    let expects_tls = match scheme {
        "http" => "the port expects TLS (https://), ",
        _ => "",
    };
    let mut line = from_peer(error, expects_tls)?;
    if to_proxy {
        line.push_str(" The peer here is the proxy of proxy_url, not the target.");
    }
    Some(line)
}

fn from_peer(error: &RoundTripError, expects_tls: &str) -> Option<String> {
    let broken = match error {
        RoundTripError::Http1(ExchangeError::Read(error) | ExchangeError::Write(WriteError::Sink(error)))
        | RoundTripError::Http2(Http2Error::Read(error) | Http2Error::Write(error)) => Some(error),
        _ => None,
    };
    if let Some(line) = broken.and_then(super::tls::after) {
        return Some(line);
    }
    Some(match error {
        RoundTripError::Http1(ExchangeError::Head(error)) => return head(error),
        RoundTripError::Http1(ExchangeError::Truncated(start)) if start.is_empty() => "The peer closed the connection within the headers of its response: the service, or a proxy before it, crashed while it responded. Try `curl -v URL`.".to_owned(),
        RoundTripError::Http1(ExchangeError::Truncated(start)) => protocol(start),
        RoundTripError::Http1(ExchangeError::Closed) => format!("The peer closed the connection without a response: {expects_tls}the service crashed, a proxy has no backend, or it expects the PROXY protocol. Try `curl -v URL`."),
        RoundTripError::Http1(ExchangeError::Read(_) | ExchangeError::Write(_)) => format!("The peer reset the connection during the request: {expects_tls}the service crashed, or a firewall inspects. Try `curl -v URL`."),
        RoundTripError::Http2(Http2Error::Malformed(_) | Http2Error::Connection(_)) => "The server speaks HTTP/2 against its rules: set enable_http2: false to see whether HTTP/1.1 works.".to_owned(),
        RoundTripError::Http2(_) => "The server ended the HTTP/2 connection without a response: set enable_http2: false to see whether HTTP/1.1 works.".to_owned(),
        RoundTripError::Http3(Http3Error::Lost(_)) => "No HTTP/3 connection: UDP port 443 is filtered, or the server has no HTTP/3. Its Alt-Svc header says: `curl -sSI https://HOST | grep -i alt-svc`.".to_owned(),
        RoundTripError::Http3(_) => "The server's HTTP/3 is broken: leave out enable_http3 to see whether HTTP/2 works.".to_owned(),
        RoundTripError::OAuth2(error) => no_token(error),
        RoundTripError::Tls(error) => return super::tls::alone(error),
        RoundTripError::Http1(ExchangeError::Length(_)) => "The response's Content-Length or Transfer-Encoding is wrong: the service, or a proxy before it, writes it so. Try `curl -v URL`.".to_owned(),
        RoundTripError::Credentials(why) => format!("Nothing was sent to the target: {}. The exporter's user must be able to read the files of the module.", name(why)),
        _ => return None,
    })
}

/// There is no OAuth2 token.
pub(in crate::prober) fn no_token(error: &OAuth2Error) -> String {
    if let OAuth2Error::Unreachable(why) = error {
        return format!(
            "Nothing was sent to the target, because {}. Check token_url, and the way from this host to it: `curl -sSv TOKEN_URL`.",
            name(why)
        );
    }
    "The token endpoint gave no token; nothing was sent to the target. Check client_id, client_secret, scopes and token_url: `curl -sS -d grant_type=client_credentials -u ID:SECRET TOKEN_URL`.".to_owned()
}

/// A response that is not HTTP/1.
pub(super) fn head(error: &HeadError) -> Option<String> {
    let bytes = match error {
        HeadError::Status { line, .. } if line.starts_with(b"HTTP/") => {
            return Some(format!(
                "The response's status is not a number of three digits, {}: the service, or a proxy before it, writes it wrong.",
                quoted(line)
            ));
        }
        HeadError::Response(line) | HeadError::Version(line) | HeadError::Status { line, .. } => line,
        HeadError::FirstHeader(_) | HeadError::MissingColon(_) | HeadError::Header(_) => {
            return Some("The response has a header that HTTP does not allow: the service, or a proxy, writes it wrong. `curl -v URL | cat -v`".to_owned());
        }
        HeadError::TooLarge(_) => {
            return Some("The response's headers are longer than this exporter accepts: mostly cookies. `curl -sSI URL | wc -c`".to_owned());
        }
    };
    Some(protocol(bytes))
}

/// What speaks, judged by its first bytes, where HTTP/1 was expected.
pub(super) fn protocol(bytes: &[u8]) -> String {
    if matches!(bytes, [0x15 | 0x16, 3, ..]) {
        return "The port speaks TLS: write https:// in the target (wss:// for websocket).".to_owned();
    }
    if super::is_http2(bytes) {
        return "The port speaks HTTP/2 in the clear, which this prober does not; a gRPC server? Use a module with prober: grpc, or a port with TLS.".to_owned();
    }
    if let Some(line) = super::greeting(bytes) {
        return line;
    }
    if super::is_http(bytes) {
        return format!(
            "The response does not begin with a whole status line, {}: the service, or a proxy before it, failed while it responded, or does not understand the request. Try `curl -v --http0.9 URL`.",
            quoted(bytes)
        );
    }
    format!(
        "Not an HTTP server: it sent {}. Use a module with prober: tcp, or another port.",
        quoted(bytes)
    )
}
