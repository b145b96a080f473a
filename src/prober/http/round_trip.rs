//! One request and its answer, over a connection of its own, in the protocol that was agreed on.

use std::borrow::Cow;

use go_http::FirstByte;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::Client;
use super::connect::HttpConnection;
use super::credentials;
use super::error::RoundTripError;
use super::request::{HttpRequest, check_sendable};
use super::response::HttpResponse;
use super::trace::RoundTripTrace;
use crate::log;
use crate::module::http::{Credentials, HttpProtocol};
use crate::net::headers::{Headers, has_token, lists_contain};
use crate::net::http1::{self, MAX_HEAD, RequestBody, RequestLine, write_head};
use crate::net::http2::{self, Http2Error};
use crate::net::proxy::basic;
use crate::net::url::{Url, punycode_host_port, remove_zone, valid_host_header};
use crate::probe_log::{EXCERPT, cut, excerpt_of};
use crate::prober::connect::Stream;
use crate::prober::{Phase, Probe};

/// How often a request is sent again that an HTTP/2 peer refused unread.
const RETRIES: usize = 3;

impl Client<'_> {
    /// Sends `request` and reads the head of its answer. A trace is kept also when it fails.
    pub(super) async fn round_trip(
        &mut self,
        probe: &mut Probe<'_>,
        request: &HttpRequest<'_>,
        body: RequestBody,
    ) -> Result<Box<HttpResponse>, RoundTripError> {
        log!(probe.log, Debug, "Making HTTP request", "url" => cut(request.url.safe_text(), EXCERPT), "host" => cut(request.host.clone(), EXCERPT));
        self.traces.push(RoundTripTrace {
            tls: request.url.scheme == "https",
            ..RoundTripTrace::default()
        });
        let is_first_host = request.url.host == self.first_host;
        if !is_first_host {
            log!(
                probe.log, Debug, "Address does not match first address, not sending TLS ServerName",
                "first" => excerpt_of(&self.first_host, EXCERPT), "address" => excerpt_of(&request.url.host, EXCERPT),
            );
            if self.module.protocol == HttpProtocol::Http3 {
                log!(
                    probe.log,
                    Debug,
                    "No serverless transport available, using standard transport"
                );
            }
        }
        if self.traces.len() > 1 && probe.deadline.left().is_zero() {
            return Err(RoundTripError::TimedOut {
                step: "reading the body of the redirect".to_owned(),
                timed_out: probe.deadline.timed_out(),
            });
        }
        let from = Instant::now();
        let headers = self.headers(probe, request).await;
        if let Some(Credentials::OAuth2(_)) = &self.module.credentials {
            probe.record_token(from);
        }
        let headers = headers?;
        check_sendable(request, &headers)?;
        if self.module.protocol == HttpProtocol::Http3 {
            let name = self.tls_name(request, is_first_host);
            let again = body.again();
            let ended = Box::pin(self.over_http3(probe, request, &headers, body, &name)).await;
            return match (ended, again) {
                // As quic-go: once more, over another connection.
                (Err(RoundTripError::Http3(error)), Some(body)) if error.is_rejected() => {
                    Box::pin(self.over_http3(probe, request, &headers, body, &name)).await
                }
                (ended, _) => ended,
            };
        }
        let proxy = self
            .module
            .proxies
            .for_url(&request.url)
            .map_err(RoundTripError::Cgi)?;
        let mut body = Some(body);
        for attempt in 0.. {
            let sent = body.take().unwrap_or(RequestBody::Empty);
            body = sent.again();
            // Boxed: what connecting needs is gone while the answer is waited for.
            let connecting = self.connect(probe, request, proxy, is_first_host, &headers);
            let connection = Box::pin(connecting).await?;
            match self
                .exchange(probe, request, connection, proxy, &headers, sent)
                .await
            {
                // compat: upstream tries again and again until the deadline.
                Err(RoundTripError::Http2(error))
                    if error.invites_retry() && attempt < RETRIES && body.is_some() => {}
                ended => return ended,
            }
        }
        Err(RoundTripError::Http2(Http2Error::Closed))
    }

    /// The header fields of the request, with those that are added on the way.
    async fn headers<'r>(
        &mut self,
        probe: &Probe<'_>,
        request: &'r HttpRequest<'_>,
    ) -> Result<Cow<'r, Headers>, RoundTripError> {
        let mut headers = Cow::Borrowed(&*request.headers);
        let more = &self.module.more_headers;
        if !more.is_empty() {
            // Boxed, as the credentials: few modules have any.
            Box::pin(credentials::add_headers(headers.to_mut(), more, probe)).await?;
            if self.module.follow_redirects && request.crossed_hosts {
                credentials::strip_sensitive(headers.to_mut());
            }
        }
        if let Some(credentials) = &self.module.credentials
            && !request.crossed_hosts
        {
            Box::pin(credentials::add(
                headers.to_mut(),
                credentials,
                probe,
                &mut self.token,
            ))
            .await?;
        }
        for (name, value) in probe.trace_headers(&request.host()) {
            headers.to_mut().set(name, value);
        }
        Ok(headers)
    }

    /// The name that the peer is asked for in TLS.
    pub(super) fn tls_name(&self, request: &HttpRequest<'_>, is_first_host: bool) -> String {
        if is_first_host && !self.server_name().is_empty() {
            self.server_name().to_owned()
        } else {
            request.url.hostname().to_owned()
        }
    }

    /// The trace of this round trip.
    pub(super) fn trace(&mut self) -> &mut RoundTripTrace {
        if self.traces.is_empty() {
            self.traces.push(RoundTripTrace::default());
        }
        // Invariant: not empty.
        #[allow(clippy::expect_used)]
        self.traces.last_mut().expect("a trace was pushed")
    }

    async fn exchange(
        &mut self,
        probe: &mut Probe<'_>,
        request: &HttpRequest<'_>,
        connection: HttpConnection,
        proxy: Option<&Url>,
        headers: &Headers,
        body: RequestBody,
    ) -> Result<Box<HttpResponse>, RoundTripError> {
        let expects_continue = headers
            .value("Expect")
            .is_some_and(|value| has_token(value, "100-continue"));
        let speaks_http2 = connection.speaks_http2();
        let HttpConnection {
            stream,
            tls,
            to_proxy,
        } = connection;
        // Over HTTP/1.1, Go waits for a 100 only before the body of the first request, not of those that redirects make.
        let expects_continue = expects_continue && (speaks_http2 || self.traces.len() == 1);
        let sent = Instant::now();
        self.trace().sent = Some(sent);
        self.trace().to_proxy = to_proxy;
        let arrivals = &probe.arrivals;
        let clock = || arrivals.after_or_now(sent);
        let mut first_byte = FirstByte::new(&clock);
        let exchange = async {
            if speaks_http2 {
                let exchange = over_http2(stream, request, headers, body, expects_continue, &mut first_byte);
                Box::pin(exchange).await
            } else {
                let head = request_head(request, headers, &body, proxy.filter(|_| to_proxy))?;
                let (method, first_byte) = (&request.method, &mut first_byte);
                let exchange =
                    http1::exchange(stream, method, head, body, expects_continue, first_byte, MAX_HEAD);
                let answer = exchange.await;
                Ok(HttpResponse::from_answer(answer.map_err(RoundTripError::Http1)?))
            }
        };
        let waited = probe.deadline.within(exchange).await;
        let first_byte = first_byte.at();
        self.trace().response_start = first_byte;
        let answered = first_byte.unwrap_or_else(|| probe.end(sent));
        probe.timeline.record(Phase::Processing, sent, answered);
        if waited.is_err() && first_byte.is_some() {
            probe.timeline.record(Phase::Transfer, answered, Instant::now());
        }
        let mut response = waited.unwrap_or_else(|timed_out| {
            Err(RoundTripError::TimedOut {
                step: match first_byte {
                    Some(_) => "reading the response headers".to_owned(),
                    None => "waiting for the response".to_owned(),
                },
                timed_out,
            })
        })?;
        response.tls = tls;
        Ok(response)
    }
}

async fn over_http2(
    stream: Box<Stream>,
    request: &HttpRequest<'_>,
    headers: &Headers,
    body: RequestBody,
    expects_continue: bool,
    first_byte: &mut FirstByte<'_>,
) -> Result<Box<HttpResponse>, RoundTripError> {
    let host = request.host();
    let host = punycode_host_port(&host).map_err(RoundTripError::Host)?;
    if !valid_host_header(&host) {
        return Err(RoundTripError::Request("http2: invalid Host header".to_owned()));
    }
    let sent = http2::Request {
        method: &request.method,
        scheme: &request.url.scheme,
        authority: &host,
        path: &request.url.request_uri(),
        headers,
    };
    let answer = http2::exchange(stream, sent, body, expects_continue, first_byte)
        .await
        .map_err(RoundTripError::Http2)?;
    Ok(HttpResponse::from_answer(answer))
}

/// The head of a request. `proxy` is the one that forwards it.
fn request_head(
    request: &HttpRequest<'_>,
    headers: &Headers,
    body: &RequestBody,
    proxy: Option<&Url>,
) -> Result<Vec<u8>, RoundTripError> {
    let host = request.host();
    let host = punycode_host_port(&host).map_err(RoundTripError::Host)?;
    let host = match (valid_host_header(&host), proxy) {
        (true, _) => remove_zone(&host),
        (false, None) => "".into(),
        (false, Some(_)) => {
            return Err(RoundTripError::Request("http: invalid Host header".to_owned()));
        }
    };
    let mut target = request.url.request_uri();
    if proxy.is_some() && request.url.opaque.is_empty() {
        target = [request.url.scheme.as_bytes(), b"://", host.as_bytes(), &target]
            .concat()
            .into();
    } else if request.method == "CONNECT" && request.url.path.is_empty() {
        // RFC 9112, section 3.2.3: host and port alone.
        target = host.as_bytes().into();
    }
    let authorization = proxy.and_then(|p| p.user.as_ref()).map(basic);
    let mut extra = SmallVec::<[_; 2]>::new();
    let connection = headers.value("Connection").unwrap_or_default();
    let switches = headers.has_text("Upgrade") && lists_contain(headers.values("Connection"), "upgrade");
    if !has_token(connection, "close") && !switches {
        extra.push(("Connection", "close"));
    }
    if let Some(authorization) = &authorization {
        extra.push(("Proxy-Authorization", authorization.as_str()));
    }
    let line = RequestLine {
        method: &request.method,
        target: &target,
        host: &host,
    };
    let mut head = Vec::with_capacity(512);
    write_head(&mut head, line, headers, body, &extra);
    Ok(head)
}
