//! One unary call over HTTP/2, judged as grpc-go's client judges it.

use std::future::poll_fn;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, PAD};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite};

use super::message::first_field;
use super::status::{Code, GrpcStatus};
use crate::net::http1::RequestBody;
use crate::net::http2::{self, Http2Error, check_fields, code_name};
use crate::net::tls::alert_of;
use crate::reason::Reason;

/// The flag and the length in front of a message, in octets.
const MESSAGE_HEAD: usize = 5;

/// Longest message that grpc-go takes by default, in octets.
const MAX_MESSAGE: usize = 4 << 20;

/// Most octets of an answer that is not gRPC which are shown.
const MAX_FOREIGN_BODY: usize = 1024;

/// Go's `base64.StdEncoding` and `base64.RawStdEncoding`, which ignore the bits behind the last octet.
const PADDED: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));
const UNPADDED: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));

/// What the peer means that did nothing about a stream.
const REFUSED_STREAM: u32 = 7;

/// Why a call gave no health status.
#[derive(Debug)]
pub enum CallError {
    /// It failed for good.
    Failed(GrpcStatus),
    /// The server did not look at it: it may be repeated once, over this connection.
    Refused(GrpcStatus),
    /// The same, but the server is closing the connection: it may be repeated once over another.
    Draining(GrpcStatus),
}

impl From<CallError> for GrpcStatus {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failed(status) | CallError::Refused(status) | CallError::Draining(status) => status,
        }
    }
}

impl From<GrpcStatus> for CallError {
    fn from(status: GrpcStatus) -> Self {
        Self::Failed(status)
    }
}

/// Calls and waits for the answer: the number of the serving status.
///
/// # Errors
/// The status that the server sent, or the one that grpc-go gives to what went wrong.
pub async fn call<S>(
    connection: &mut http2::Connection<S>,
    fields: &[(&str, &[u8])],
    message: &Bytes,
) -> Result<i32, CallError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let body = RequestBody::Bytes(message.clone());
    connection.begin_when_allowed(fields, body).await?;
    let mut answer = GrpcResponse::default();
    loop {
        let status = match poll_fn(|cx| connection.poll_event(cx)).await? {
            Some(http2::Event::Headers(fields)) => match answer.take_fields(&fields, connection.ended)? {
                Some(status) => status,
                None => continue,
            },
            Some(http2::Event::Data) => {
                let data = connection.data();
                let bytes = data.len();
                let outcome = answer.take_data(data);
                connection.consume(bytes);
                let Err(status) = outcome else { continue };
                // As mostly with grpc-go, which sees a refusal that came with a bad message before it has judged the message.
                let next = poll_fn(|cx| connection.poll_event(cx)).now_or_never();
                return Err(match next {
                    Some(Err(Http2Error::Reset(REFUSED_STREAM))) => CallError::Refused(status),
                    _ => CallError::Failed(status),
                });
            }
            None => answer.unended(connection.had_data),
        };
        return answer.end(status).map_err(CallError::Failed);
    }
}

/// An answer as far as it came.
#[derive(Default)]
struct GrpcResponse {
    /// Whether there were fields that are gRPC's.
    has_head: bool,
    /// How messages may be compressed.
    encoding: String,
    /// The status of an answer that is no gRPC, and the beginning of its body.
    foreign: Option<(GrpcStatus, Vec<u8>)>,
    buffer: BytesMut,
    /// The serving status in the one message.
    serving: Option<i32>,
}

fn internal(message: impl Into<String>) -> GrpcStatus {
    GrpcStatus::new(Code::INTERNAL, message)
}

impl GrpcResponse {
    /// Takes a header block; the status if the answer ends with it.
    fn take_fields(&mut self, fields: &[http2::Field], ends: bool) -> Result<Option<GrpcStatus>, GrpcStatus> {
        // A stream need not have a status of HTTP, but what there is must be well-formed.
        check_fields(fields).map_err(|error| match error {
            Http2Error::Malformed(reason) => internal(reason),
            error => internal(error.to_string()),
        })?;
        if self.has_head && !ends {
            return Err(internal(
                "a HEADERS frame cannot appear in the middle of a stream",
            ));
        }
        if let Some(foreign) = self.foreign.take() {
            return if ends {
                Err(finish(foreign))
            } else {
                self.foreign = Some(foreign);
                Ok(None)
            };
        }
        let read = Fields::read(fields)?;
        if !(self.has_head || read.is_grpc) {
            return match read.foreign(ends)? {
                Some(status) if ends => Err(status),
                Some(status) => {
                    self.foreign = Some((status, Vec::new()));
                    Ok(None)
                }
                None => Ok(None),
            };
        }
        if let Some(why) = read.malformed {
            return Err(internal(why));
        }
        if ends {
            return read.status.map(Some);
        }
        self.has_head = true;
        self.encoding = read.encoding;
        Ok(None)
    }

    /// Takes a piece of the body.
    fn take_data(&mut self, data: &[u8]) -> Result<(), GrpcStatus> {
        if let Some((_, body)) = &mut self.foreign {
            let room = MAX_FOREIGN_BODY - body.len();
            body.extend_from_slice(data.get(..room).unwrap_or(data));
            return match self.foreign.take_if(|(_, body)| body.len() >= MAX_FOREIGN_BODY) {
                Some(foreign) => Err(finish(foreign)),
                None => Ok(()),
            };
        }
        self.buffer.extend_from_slice(data);
        // As with grpc-go, which opens no window before the fields come.
        if !self.has_head && self.buffer.len() > MESSAGE_HEAD + MAX_MESSAGE {
            return Err(internal(format!(
                "received {}-bytes data exceeding the limit {} bytes",
                self.buffer.len(),
                MESSAGE_HEAD + MAX_MESSAGE
            )));
        }
        while self.has_head
            && let Some((flag, octets)) = split_message(&mut self.buffer)?
        {
            self.take_message(flag, &octets)?;
        }
        Ok(())
    }

    fn take_message(&mut self, flag: u8, octets: &[u8]) -> Result<(), GrpcStatus> {
        match (flag, self.encoding.as_str()) {
            (0, _) => {}
            (1, "" | "identity") => {
                return Err(internal(
                    "grpc: compressed flag set with identity or empty encoding",
                ));
            }
            (1, encoding) => {
                return Err(internal(format!(
                    "grpc: Decompressor is not installed for grpc-encoding {encoding:?}"
                )));
            }
            (flag, _) => {
                return Err(internal(format!(
                    "grpc: received unexpected payload format {flag}"
                )));
            }
        }
        let serving = first_field(octets)
            .map_err(|error| internal(format!("grpc: failed to unmarshal the received message: {error}")))?;
        if self.serving.replace(serving).is_some() {
            return Err(internal(
                "cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message",
            ));
        }
        Ok(())
    }

    /// The status of a stream that ended without fields.
    fn unended(&mut self, with_data: bool) -> GrpcStatus {
        match self.foreign.take() {
            Some(foreign) if with_data => finish(foreign),
            _ => internal("server closed the stream without sending trailers"),
        }
    }

    /// What the answer says, now that it has ended with this status.
    fn end(mut self, status: GrpcStatus) -> Result<i32, GrpcStatus> {
        // Data may have come before the fields.
        while let Some((flag, octets)) = split_message(&mut self.buffer)? {
            self.take_message(flag, &octets)?;
        }
        match (self.serving, status.code) {
            // Less than a message's head counts as the end, as with grpc-go.
            _ if self.buffer.len() >= MESSAGE_HEAD => Err(internal("unexpected EOF")),
            (Some(serving), Code::OK) => Ok(serving),
            (None, Code::OK) => Err(internal(
                "cardinality violation: received no response message from non-server-streaming RPC",
            )),
            (_, _) => Err(status),
        }
    }
}

/// An answer that is no gRPC: its HTTP status decides, and a little of its body helps whoever reads the log.
fn finish((mut status, body): (GrpcStatus, Vec<u8>)) -> GrpcStatus {
    if !body.is_empty() {
        status
            .message
            .push_str(&format!("\ndata: {:?}", String::from_utf8_lossy(&body)));
    }
    status
}

/// What a header block says.
struct Fields {
    is_grpc: bool,
    content_type: Option<String>,
    http_status: Option<Vec<u8>>,
    encoding: String,
    /// What the trailers say of the call.
    status: Result<GrpcStatus, GrpcStatus>,
    /// A field that cannot be read.
    malformed: Option<String>,
}

impl Fields {
    fn read(fields: &[http2::Field]) -> Result<Self, GrpcStatus> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let mut read = Self {
            is_grpc: false,
            content_type: None,
            http_status: None,
            encoding: String::new(),
            status: Ok(GrpcStatus::new(Code::UNKNOWN, "")),
            malformed: None,
        };
        let (mut code, mut message, mut details) = (Code::UNKNOWN, String::new(), Vec::new());
        for (name, value) in fields {
            match name.as_slice() {
                b"content-type" => {
                    read.is_grpc |= is_grpc(value);
                    read.content_type = Some(text(value));
                }
                b"grpc-encoding" => read.encoding = text(value),
                b"grpc-status" => {
                    let text = text(value);
                    // Go reads a signed number and keeps its bits.
                    let number = text.parse::<i32>().map_err(|error| {
                        let text = format!("transport: malformed grpc-status: parsing {text:?}: {error}");
                        GrpcStatus::new(Code::UNKNOWN, text)
                    })?;
                    code = Code(number.cast_unsigned());
                }
                b"grpc-message" => {
                    message = percent_encoding::percent_decode(value)
                        .decode_utf8_lossy()
                        .into_owned();
                }
                b":status" => read.http_status = Some(value.to_vec()),
                name if name.ends_with(b"-bin") => {
                    let engine = if value.len() % 4 == 0 { &PADDED } else { &UNPADDED };
                    match engine.decode(value) {
                        Ok(octets) if name == b"grpc-status-details-bin" => details.push(octets),
                        Ok(_) => {}
                        Err(error) => {
                            read.malformed = Some(format!("transport: malformed {}: {error}", text(name)));
                        }
                    }
                }
                _ => {}
            }
        }
        read.status = match details.as_slice() {
            [details]
                if let Ok(detailed) = first_field(details)
                    && detailed.cast_unsigned() != code.0 =>
            {
                let detailed = Code(detailed.cast_unsigned());
                Err(internal(format!(
                    "grpc-status-details-bin mismatch: grpc-status={code}, grpc-message={message:?}, grpc-status-details-bin={detailed}"
                )))
            }
            _ => Ok(GrpcStatus::new(code, message)),
        };
        Ok(read)
    }

    /// The status of an answer that is no gRPC; `None` for one that precedes the answer.
    fn foreign(&self, ends: bool) -> Result<Option<GrpcStatus>, GrpcStatus> {
        let mut http = None;
        let (code, mut text) = match &self.http_status {
            None => (Code::INTERNAL, "malformed header: missing HTTP status".to_owned()),
            Some(status) => {
                let shown = String::from_utf8_lossy(status);
                let number: i64 = shown
                    .parse()
                    .map_err(|_| internal(format!("transport: malformed http-status: parsing {shown:?}")))?;
                if (100..200).contains(&number) {
                    return if ends {
                        Err(internal(format!(
                            "protocol error: informational header with status code {number} must not have END_STREAM set"
                        )))
                    } else {
                        Ok(None)
                    };
                }
                http = u16::try_from(number).ok();
                let known = http.and_then(|number| http::StatusCode::from_u16(number).ok());
                let reason = known.and_then(|status| status.canonical_reason()).unwrap_or("");
                (
                    Code::of_http(number),
                    format!("unexpected HTTP status code received from server: {number} ({reason})"),
                )
            }
        };
        text.push_str("; ");
        match &self.content_type {
            Some(kind) => text.push_str(&format!("transport: received unexpected content-type {kind:?}")),
            None => text.push_str("malformed header: missing HTTP content-type"),
        }
        Ok(Some(GrpcStatus {
            http,
            ..GrpcStatus::new(code, text)
        }))
    }
}

fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

/// Takes a whole message off the buffer: its flag and its octets.
fn split_message(buffer: &mut BytesMut) -> Result<Option<(u8, Bytes)>, GrpcStatus> {
    let Some(&[flag, a, b, c, d]) = buffer.first_chunk::<MESSAGE_HEAD>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > MAX_MESSAGE {
        let text = format!("grpc: received message larger than max ({length} vs. {MAX_MESSAGE})");
        return Err(GrpcStatus::new(Code::RESOURCE_EXHAUSTED, text));
    }
    if buffer.len() < MESSAGE_HEAD + length {
        return Ok(None);
    }
    buffer.advance(MESSAGE_HEAD);
    Ok(Some((flag, buffer.split_to(length).freeze())))
}

/// What an error of HTTP/2 means for the call.
impl From<Http2Error> for CallError {
    fn from(error: Http2Error) -> Self {
        let reason = Reason::from(&error);
        match error {
            Http2Error::Reset(code) => {
                let text = format!(
                    "stream terminated by RST_STREAM with error code: {}",
                    code_name(code)
                );
                let status = GrpcStatus::new(Code::of_reset(code), text);
                match code {
                    REFUSED_STREAM => Self::Refused(status),
                    _ => Self::Failed(status),
                }
            }
            Http2Error::Malformed(what) => {
                Self::Failed(internal(format!("received an invalid frame: {what}")).because(reason))
            }
            Http2Error::ListTooLong(_) => Self::Failed(internal(error.to_string())),
            Http2Error::GoAway {
                is_unread: true,
                code,
                ..
            } => Self::Draining(GrpcStatus::new(
                Code::UNAVAILABLE,
                format!(
                    "the stream is rejected because server is draining the connection: {}",
                    code_name(code)
                ),
            )),
            error => {
                let alert = match &error {
                    Http2Error::Read(error) | Http2Error::Write(error) => alert_of(error),
                    _ => None,
                };
                let text = format!("error reading from server: {error}");
                Self::Failed(GrpcStatus {
                    alert,
                    ..GrpcStatus::new(Code::UNAVAILABLE, text).because(reason)
                })
            }
        }
    }
}
