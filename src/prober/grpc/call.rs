//! One unary call over HTTP/2, judged as grpc-go's client judges it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::{Buf, Bytes, BytesMut};
use h2::client::{Connection, SendRequest};
use h2::{Reason, RecvStream};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};

use super::message::first_field;
use super::status::{Code, Status};

/// The flag and the length in front of a message, in octets.
const MESSAGE_HEAD: usize = 5;

/// Longest message that grpc-go takes by default, in octets.
const MAX_MESSAGE: usize = 4 << 20;

/// Largest list of headers or trailers, in octets; grpc-go takes sixteen times as much and means to take far less.
const MAX_HEADERS: u32 = 1 << 20;

/// Most octets of an answer that is not gRPC which are shown.
const MAX_FOREIGN_BODY: usize = 1024;

/// Why a call gave no health status.
#[derive(Debug)]
pub enum CallError {
    /// It failed for good.
    Failed(Status),
    /// The server did not look at it: it may be repeated once, over this connection.
    Refused(Status),
    /// The same, but the server is closing the connection: it may be repeated once over another.
    Draining(Status),
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failed(status) | CallError::Refused(status) | CallError::Draining(status) => status,
        }
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

/// Begins HTTP/2 on a stream.
///
/// # Errors
/// The stream broke.
pub async fn handshake<T>(stream: T) -> Result<(SendRequest<Bytes>, Connection<T, Bytes>), CallError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut settings = h2::client::Builder::new();
    settings.enable_push(false).max_header_list_size(MAX_HEADERS);
    Ok(settings.handshake(stream).await?)
}

/// Calls and waits for the answer: the number of the serving status.
///
/// # Errors
/// The status that the server sent, or the one that grpc-go gives to what went wrong.
pub async fn call(
    sender: &SendRequest<Bytes>,
    request: Request<()>,
    message: Vec<u8>,
) -> Result<i32, CallError> {
    let mut sender = sender.clone().ready().await?;
    let (response, mut body) = sender.send_request(request, false)?;
    // A server may answer before it has heard the message; its answer then says more than this error.
    let _ = body.send_data(message.into(), true);
    let (head, mut answer) = response.await?.into_parts();
    if !head
        .headers
        .get_all(CONTENT_TYPE)
        .iter()
        .any(|value| is_grpc(value.as_bytes()))
    {
        return Err(foreign(head.status, &head.headers, &mut answer).await.into());
    }
    if answer.is_end_stream() {
        return Err(without_message(&trailers_status(&head.headers)?).into());
    }
    check_headers(&head.headers)?;
    let encoding = head
        .headers
        .get("grpc-encoding")
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let received = receive(&mut answer, encoding.as_deref()).await?;
    let trailers = answer.trailers().await?;
    let Some(trailers) = trailers else {
        return Err(Status::new(
            Code::INTERNAL,
            "server closed the stream without sending trailers",
        )
        .into());
    };
    let status = trailers_status(&trailers)?;
    match (received.serving, status.code) {
        _ if received.is_cut => Err(Status::new(Code::INTERNAL, "unexpected EOF").into()),
        (Some(serving), Code::OK) => Ok(serving),
        (None, Code::OK) => Err(without_message(&status).into()),
        (_, _) => Err(status.into()),
    }
}

fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

/// What the data of an answer hold.
struct Received {
    /// The serving status in the one message; `None` when there is no message.
    serving: Option<i32>,
    /// The data end within a message. Less than a message's head counts as the end, as with grpc-go.
    is_cut: bool,
}

/// Reads the answer to its end.
async fn receive(answer: &mut RecvStream, encoding: Option<&str>) -> Result<Received, CallError> {
    let internal = |message: String| Status::new(Code::INTERNAL, message);
    let mut buffer = BytesMut::new();
    let mut message = None;
    while let Some(data) = answer.data().await {
        let data = data?;
        // Flow control: what was taken makes room for more. The stream may have ended meanwhile, and then needs none.
        let _ = answer.flow_control().release_capacity(data.len());
        buffer.extend_from_slice(&data);
        while let Some((flag, octets)) = split_message(&mut buffer)? {
            match (flag, encoding) {
                (0, _) => {}
                (1, None | Some("" | "identity")) => {
                    return Err(internal(
                        "grpc: compressed flag set with identity or empty encoding".to_owned(),
                    )
                    .into());
                }
                (1, Some(encoding)) => {
                    let text = format!("grpc: Decompressor is not installed for grpc-encoding {encoding:?}");
                    return Err(internal(text).into());
                }
                (flag, _) => {
                    return Err(internal(format!("grpc: received unexpected payload format {flag}")).into());
                }
            }
            let serving = first_field(&octets).map_err(|error| {
                internal(format!("grpc: failed to unmarshal the received message: {error}"))
            })?;
            if message.replace(serving).is_some() {
                let text = "cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message";
                return Err(internal(text.to_owned()).into());
            }
        }
    }
    Ok(Received {
        serving: message,
        is_cut: buffer.len() >= MESSAGE_HEAD,
    })
}

/// Takes a whole message off the buffer: its flag and its octets.
fn split_message(buffer: &mut BytesMut) -> Result<Option<(u8, Bytes)>, Status> {
    let Some(&[flag, a, b, c, d]) = buffer.first_chunk::<MESSAGE_HEAD>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > MAX_MESSAGE {
        let text = format!("grpc: received message larger than max ({length} vs. {MAX_MESSAGE})");
        return Err(Status::new(Code::RESOURCE_EXHAUSTED, text));
    }
    if buffer.len() < MESSAGE_HEAD + length {
        return Ok(None);
    }
    buffer.advance(MESSAGE_HEAD);
    Ok(Some((flag, buffer.split_to(length).freeze())))
}

/// The status at the end of a stream; [`Code::OK`] is not an error yet.
fn trailers_status(trailers: &HeaderMap) -> Result<Status, Status> {
    let mut code = Code::UNKNOWN;
    for value in trailers.get_all("grpc-status") {
        let text = String::from_utf8_lossy(value.as_bytes());
        // Go reads a signed number and keeps its bits.
        let number = text.parse::<i32>().map_err(|error| {
            Status::new(
                Code::UNKNOWN,
                format!("transport: malformed grpc-status: parsing {text:?}: {error}"),
            )
        })?;
        code = Code(number.cast_unsigned());
    }
    let details = check_headers(trailers)?;
    let message = trailers.get_all("grpc-message").iter().next_back();
    let message = message
        .map(|value| decode_message(value.as_bytes()))
        .unwrap_or_default();
    if let [details] = details.as_slice()
        && let Ok(detailed) = first_field(details)
        && detailed.cast_unsigned() != code.0
    {
        let detailed = Code(detailed.cast_unsigned());
        let text = format!(
            "grpc-status-details-bin mismatch: grpc-status={code}, grpc-message={message:?}, grpc-status-details-bin={detailed}"
        );
        return Err(Status::new(Code::INTERNAL, text));
    }
    Ok(Status { code, message })
}

/// Every `-bin` header must be base64. Returns what is in `grpc-status-details-bin`.
fn check_headers(headers: &HeaderMap) -> Result<Vec<Vec<u8>>, Status> {
    let mut details = Vec::new();
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().ends_with("-bin")) {
        let value = value.as_bytes();
        let engine = if value.len() % 4 == 0 {
            &STANDARD
        } else {
            &STANDARD_NO_PAD
        };
        let octets = engine
            .decode(value)
            .map_err(|error| Status::new(Code::INTERNAL, format!("transport: malformed {name}: {error}")))?;
        if name == "grpc-status-details-bin" {
            details.push(octets);
        }
    }
    Ok(details)
}

/// Percent-decodes the text of a `grpc-message`.
fn decode_message(value: &[u8]) -> String {
    percent_encoding::percent_decode(value)
        .decode_utf8_lossy()
        .into_owned()
}

/// A stream that ended without a message.
fn without_message(status: &Status) -> Status {
    if status.code == Code::OK {
        let text = "cardinality violation: received no response message from non-server-streaming RPC";
        return Status::new(Code::INTERNAL, text);
    }
    status.clone()
}

/// An answer that is no gRPC: its HTTP status decides, and a little of its body helps whoever reads the log.
async fn foreign(status: StatusCode, headers: &HeaderMap, answer: &mut RecvStream) -> Status {
    let reason = status.canonical_reason().unwrap_or("");
    let mut text = format!(
        "unexpected HTTP status code received from server: {} ({reason}); ",
        status.as_u16()
    );
    match headers.get_all(CONTENT_TYPE).iter().next_back() {
        Some(kind) => {
            let kind = String::from_utf8_lossy(kind.as_bytes());
            text.push_str(&format!("transport: received unexpected content-type {kind:?}"));
        }
        None => text.push_str("malformed header: missing HTTP content-type"),
    }
    let mut body = Vec::new();
    while body.len() < MAX_FOREIGN_BODY
        && let Some(Ok(data)) = answer.data().await
    {
        let room = MAX_FOREIGN_BODY - body.len();
        body.extend_from_slice(data.get(..room).unwrap_or(&data));
        let _ = answer.flow_control().release_capacity(data.len());
    }
    if !body.is_empty() {
        text.push_str(&format!("\ndata: {:?}", String::from_utf8_lossy(&body)));
    }
    Status::new(Code::of_http(status), text)
}

/// What an error of HTTP/2 means for the call.
impl From<h2::Error> for CallError {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(Reason::REFUSED_STREAM) if error.is_reset() => {
                CallError::Refused(reset(Reason::REFUSED_STREAM))
            }
            Some(reason) if error.is_reset() && error.is_remote() => CallError::Failed(reset(reason)),
            Some(reason) if error.is_reset() => {
                let text = format!("received an invalid frame: {}", reason.description());
                CallError::Failed(Status::new(Code::of_reset(reason), text))
            }
            Some(reason) if error.is_go_away() && error.is_remote() => CallError::Draining(Status::new(
                Code::UNAVAILABLE,
                format!(
                    "the stream is rejected because server is draining the connection: {}",
                    reason.description()
                ),
            )),
            _ => CallError::Failed(Status::new(
                Code::UNAVAILABLE,
                format!("error reading from server: {error}"),
            )),
        }
    }
}

fn reset(reason: Reason) -> Status {
    let text = format!(
        "stream terminated by RST_STREAM with error code: {}",
        reason.description()
    );
    Status::new(Code::of_reset(reason), text)
}
