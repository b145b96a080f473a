//! Connecting and upgrading (RFC 6455, section 4), with what gorilla/websocket accepts and refuses.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use go_http::websocket::Frames;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::error::WebsocketError;
use crate::metrics::Metric;
use crate::net::headers::{Headers, is_token};
use crate::net::http1::{
    Head, HeadError, HeadParser, MAX_HEAD, RequestBody, RequestLine, measure, write_head,
};
use crate::net::tls::Prepared;
use crate::net::url::{Url, idna_host_port, punycode_host_port, remove_zone, valid_host_header};
use crate::net::{Address, AnyStream, split_host_port};
use crate::prober::connect::{self, ConnectError, Route, Stream, Tls, To};
use crate::prober::{Answer, Phase, Probe};

/// What is needed to connect.
pub(super) struct Dialling<'a> {
    pub url: &'a Url,
    pub addresses: &'a [Address],
    pub tls: &'a Prepared,
    /// The server's name for TLS, if the module gives one.
    pub server_name: Option<&'a str>,
    /// Header fields of the module.
    pub headers: &'a Headers,
    /// Whether the answer to the key is not looked at.
    pub skips_accept: bool,
}

/// Names that the handshake itself uses, in canonical form.
const OWN_HEADERS: [&str; 5] = [
    "Upgrade",
    "Connection",
    "Sec-Websocket-Key",
    "Sec-Websocket-Version",
    "Sec-Websocket-Extensions",
];

/// Connects, shakes hands and upgrades. `connected` is set when the connection stands, and is when it is used for the first time.
pub(super) async fn dial(
    probe: &mut Probe<'_>,
    dialling: Dialling<'_>,
    connected: &mut Option<Instant>,
) -> Result<Frames<Box<dyn AnyStream>>, WebsocketError> {
    let Dialling { url, .. } = dialling;
    let encrypted = match url.scheme.as_str() {
        "ws" => false,
        "wss" => true,
        _ => return Err(WebsocketError::Url),
    };
    if url.user.is_some() {
        return Err(WebsocketError::Url);
    }
    let key = STANDARD.encode(rand::random::<[u8; 16]>());
    let request = request(url, dialling.headers, &key)?;
    let stream = connect(probe, &dialling, encrypted, connected).await?;
    let mut stream: Box<dyn AnyStream> = Box::new(stream);
    let (head, early) = probe
        .deadline
        .within(exchange(&mut stream, &request?))
        .await
        .map_err(|timed_out| WebsocketError::TimedOut {
            doing: "waiting for the response to the upgrade",
            timed_out,
        })??;
    probe.samples.set(Metric::WebsocketStatusCode, head.status.into());
    let hop = probe.timeline.hop();
    hop.result = Some(String::from_utf8_lossy(&head.status_line).into_owned());
    hop.answer = Some(Answer::Http {
        version: head.version,
        status: head.status,
    });
    judge(&head, &early, (!dialling.skips_accept).then_some(key.as_str()))?;
    Ok(Frames::new(stream, early))
}

async fn connect(
    probe: &mut Probe<'_>,
    dialling: &Dialling<'_>,
    encrypted: bool,
    connected: &mut Option<Instant>,
) -> Result<Stream, WebsocketError> {
    let host = &dialling.url.host;
    let has_port = host.rfind(':') > host.rfind(']');
    let port = if has_port {
        let (_, port) = split_host_port(host).map_err(|e| WebsocketError::Address(e.to_string()))?;
        port
    } else if encrypted {
        "443"
    } else {
        "80"
    };
    let to = To::target(dialling.addresses, port);
    let name = dialling.server_name.unwrap_or(dialling.url.hostname());
    let tls = encrypted.then(|| Tls::named(dialling.tls, name));
    let made = connect::connect(probe, Route::direct(to, tls)).await;
    let (spans, stood) = match &made {
        Ok(connected) => (connected.spans, true),
        Err(failure) => (failure.spans, matches!(failure.error, ConnectError::Tls(_))),
    };
    if let Some((from, to)) = spans.connect.filter(|_| stood) {
        super::expose(probe, Phase::Connect, from, to);
        *connected = Some(spans.tls.map_or_else(Instant::now, |(from, _)| from));
    }
    made.map(|connected| connected.stream)
        .map_err(WebsocketError::Connect)
}

/// The upgrade request. What Go finds out only when it writes the request is the inner error.
fn request(
    url: &Url,
    configured: &Headers,
    key: &str,
) -> Result<Result<Vec<u8>, WebsocketError>, WebsocketError> {
    let mut headers = Headers::default();
    headers.add("Upgrade", "websocket");
    headers.add("Connection", "Upgrade");
    // These names are written as the RFC does, not in canonical form.
    headers.add_as_written(b"Sec-WebSocket-Key", key.as_bytes());
    headers.add_as_written(b"Sec-WebSocket-Version", b"13");
    for (name, value) in configured.iter() {
        if let Some(own) = OWN_HEADERS.iter().find(|own| own.as_bytes() == name) {
            return Err(WebsocketError::Header(own));
        }
        match name {
            b"Host" => {}
            b"Sec-Websocket-Protocol" => headers.add_as_written(b"Sec-WebSocket-Protocol", value),
            name => headers.add_bytes(name, value),
        }
    }
    let written = configured.value("Host").map(String::from_utf8_lossy);
    let written = written.filter(|host| !host.is_empty());
    let host = written.unwrap_or_else(|| idna_host_port(&url.host));
    let host = match punycode_host_port(&host) {
        Ok(host) if valid_host_header(&host) => remove_zone(&host).into_owned(),
        Ok(_) => String::new(),
        Err(error) => return Ok(Err(WebsocketError::Host(error.to_string()))),
    };
    let target = url.request_uri();
    if target.iter().any(|b| *b < b' ' || *b == 0x7f) {
        return Ok(Err(WebsocketError::Target));
    }
    let line = RequestLine {
        method: "GET",
        target: &target,
        host: &host,
    };
    let mut request = Vec::new();
    write_head(&mut request, line, &headers, &RequestBody::Empty, &[]);
    Ok(Ok(request))
}

/// Sends the request and reads the head of the answer, with what came behind it.
async fn exchange(
    stream: &mut Box<dyn AnyStream>,
    request: &[u8],
) -> Result<(Head, BytesMut), WebsocketError> {
    stream.write_all(request).await.map_err(WebsocketError::Write)?;
    stream.flush().await.map_err(WebsocketError::Write)?;
    let mut parser = HeadParser::default();
    let mut buffer = BytesMut::new();
    let mut used = 0;
    loop {
        buffer.reserve(4096);
        match stream.read_buf(&mut buffer).await {
            Ok(0) => return Err(end(used, &buffer)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(end(used, &buffer)),
            Err(error) => return Err(WebsocketError::Read(error)),
        }
        let step = parser.advance(&buffer).map_err(WebsocketError::Answer)?;
        let _ = buffer.split_to(step.used.min(buffer.len()));
        used += step.used;
        if used > MAX_HEAD || step.head.is_none() && used + buffer.len() >= MAX_HEAD {
            return Err(WebsocketError::Answer(HeadError::TooLarge(MAX_HEAD)));
        }
        if let Some(mut head) = step.head {
            measure(&mut head, "GET").map_err(WebsocketError::Length)?;
            return Ok((head, buffer));
        }
    }
}

/// The end of the connection within the head, of which this much was read already.
fn end(used: usize, rest: &[u8]) -> WebsocketError {
    WebsocketError::End(if used == 0 {
        beginning(rest).to_vec()
    } else {
        Vec::new()
    })
}

/// As much of what a peer sent as advice needs.
fn beginning(sent: &[u8]) -> &[u8] {
    sent.get(..1024).unwrap_or(sent)
}

/// Whether the answer upgrades; without a key, whatever it makes of the key.
fn judge(head: &Head, body: &[u8], key: Option<&str>) -> Result<(), WebsocketError> {
    let refused = |reason| {
        Err(WebsocketError::Refused {
            code: head.status,
            status: head.status_line.clone(),
            reason,
            body: beginning(body).to_vec(),
        })
    };
    if head.status != 101 {
        return refused("the status is not 101");
    }
    if !has_token(&head.headers, "Upgrade", "websocket") {
        return refused("no Upgrade: websocket");
    }
    if !has_token(&head.headers, "Connection", "upgrade") {
        return refused("no Connection: upgrade");
    }
    let accepted = head.headers.value("Sec-Websocket-Accept").unwrap_or_default();
    if key.is_some_and(|key| accepted != accept(key).as_bytes()) {
        return Err(WebsocketError::Accept(head.status_line.clone()));
    }
    // compat: upstream goes on when the peer compresses unasked and says so in a certain way (RFC 6455, 9.1, forbids it).
    if has_extension(&head.headers, "permessage-deflate") {
        return Err(WebsocketError::Extension);
    }
    Ok(())
}

/// What a server makes of the key.
fn accept(key: &str) -> String {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    STANDARD.encode(hash)
}

/// Whether a list of tokens has this one. A value is read up to its first fault, as gorilla reads it.
fn has_token(headers: &Headers, name: &str, token: &str) -> bool {
    headers.values(name).any(|value| {
        for element in value.split(|b| *b == b',') {
            let element = element.trim_ascii();
            if !is_token(element) {
                return false;
            }
            if element.eq_ignore_ascii_case(token.as_bytes()) {
                return true;
            }
        }
        false
    })
}

fn has_extension(headers: &Headers, extension: &str) -> bool {
    headers.values("Sec-Websocket-Extensions").any(|value| {
        value.split(|b| *b == b',').any(|item| {
            item.split(|b| *b == b';').next().map(<[u8]>::trim_ascii) == Some(extension.as_bytes())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, section 1.3.
    #[test]
    fn keys_are_accepted_as_the_rfc_says() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
