//! A round trip over HTTP/3: one QUIC connection to the chosen address.
//!
//! compat: upstream's HTTP/3 client leaves the module's credentials and `http_headers` out; here they are sent.

use tokio::time::Instant;

use super::Client;
use super::decode::gunzipped;
use super::error::RoundTripError;
use super::request::HttpRequest;
use super::response::{HttpResponse, ResponseBody};
use crate::net::headers::Headers;
use crate::net::http1::RequestBody;
use crate::net::tls::Alpn;
use crate::net::url::{punycode_host_port, valid_host_header};
use crate::net::{http2, http3};
use crate::prober::connect::{self, ConnectError, Tls};
use crate::prober::{Phase, Probe};

impl Client<'_> {
    /// Sends a request over HTTP/3 and reads the head of its answer.
    pub(super) async fn over_http3(
        &mut self,
        probe: &mut Probe<'_>,
        request: &HttpRequest<'_>,
        headers: &Headers,
        body: RequestBody,
        name: &str,
    ) -> Result<Box<HttpResponse>, RoundTripError> {
        if request.url.scheme != "https" {
            return Err(RoundTripError::Request(format!(
                "http3: unsupported protocol scheme: {}",
                request.url.scheme
            )));
        }
        let (address, to, socket) = self.quic_address(probe, request).await?;
        probe.timeline.hop().address = Some(to.to_string());
        let prepared = self.prepared_tls(probe).await?;
        let tls = Tls {
            prepared: &prepared,
            name,
            alpn: Alpn::Http3,
        };
        let (connected, (from, done)) = connect::shake(probe, &address, to, socket, &tls).await;
        let trace = self.trace();
        // There is no connection apart from its encryption.
        trace.start.get_or_insert(from);
        trace.dns_done.get_or_insert(from);
        trace.connect_done = Some(from);
        (trace.tls_start, trace.tls_done) = (Some(from), Some(done));
        let connection = connected.map_err(|error| self.unconnected(probe, error))?;
        let sent = Some(Instant::now());
        (self.trace().got_conn, self.trace().sent) = (sent, sent);
        let first_byte = &mut self.trace().response_start;
        let exchange = exchange(connection, request, headers, body, first_byte);
        let waited = probe.deadline.within(exchange).await;
        let answered = self.trace().response_start;
        let now = Instant::now();
        probe
            .timeline
            .record(Phase::Processing, done, answered.unwrap_or(now));
        if let (Err(_), Some(answered)) = (&waited, answered) {
            probe.timeline.record(Phase::Transfer, answered, now);
        }
        let mut response = waited.unwrap_or_else(|timed_out| {
            Err(RoundTripError::TimedOut {
                step: "waiting for the response".to_owned(),
                timed_out,
            })
        })?;
        response.tls.clone_from(&probe.attempt.tls);
        Ok(response)
    }

    pub(super) fn unconnected(&self, probe: &mut Probe<'_>, error: ConnectError) -> RoundTripError {
        let vantage = &probe.module.vantage;
        connect::advise(probe, self.traces.len() <= 1, vantage, &error);
        RoundTripError::Connect(error)
    }
}

async fn exchange(
    connection: quinn::Connection,
    request: &HttpRequest<'_>,
    headers: &Headers,
    body: RequestBody,
    first_byte: &mut Option<Instant>,
) -> Result<Box<HttpResponse>, RoundTripError> {
    let host = request.host();
    let host = punycode_host_port(&host).map_err(RoundTripError::Host)?;
    if !valid_host_header(&host) {
        return Err(RoundTripError::Request("http3: invalid Host header".to_owned()));
    }
    // As quic-go, which asks for gzip and undoes it where nobody else says what is wanted.
    let asks_for_gzip =
        request.method != "HEAD" && !headers.has_text("Accept-Encoding") && !headers.has_text("Range");
    let mut headers = headers.clone();
    if asks_for_gzip {
        headers.add("Accept-Encoding", "gzip");
    }
    let sent = http2::Request {
        method: &request.method,
        scheme: &request.url.scheme,
        authority: &host,
        path: &request.url.request_uri(),
        headers: &headers,
    };
    let mut answer = http3::exchange(connection, sent, body, first_byte)
        .await
        .map_err(RoundTripError::Http3)?;
    if asks_for_gzip && answer.head.headers.value("Content-Encoding") == Some(b"gzip") {
        answer.head.headers.remove("Content-Encoding");
        answer.head.headers.remove("Content-Length");
        let body = ResponseBody::Stream(Box::new(gunzipped(answer.body)));
        return Ok(HttpResponse::new(answer.head, -1, body));
    }
    Ok(HttpResponse::from_answer(answer))
}
