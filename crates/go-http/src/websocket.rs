//! Messages and frames (RFC 6455, section 5) as gorilla/websocket reads and writes them: text is not checked for UTF-8.

use std::fmt;
use std::io;

use bytes::{Buf, BytesMut};
use gostd::deadline::{Deadline, TimedOut};
use gostd::os_error::SystemError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest message that is read, in bytes. Upstream has no limit.
pub const LONGEST_MESSAGE: u64 = 16 << 20;
/// Longest payload of a control frame.
const LONGEST_CONTROL: u64 = 125;
/// Most bytes of a message that go into one frame.
const FRAGMENT: usize = 4096;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Why no message could be read or written. Displays in gorilla's words.
#[derive(Debug)]
pub enum FrameError {
    /// The peer closed with this code and text.
    Closed {
        /// The status code of RFC 6455, section 7.4; 1006 when there was no close frame.
        code: u16,
        /// The reason, as the peer wrote it.
        text: String,
    },
    /// What the peer sent is no frame.
    Protocol(String),
    /// A message is longer than [`LONGEST_MESSAGE`].
    TooLong,
    /// The deadline.
    TimedOut(TimedOut),
    /// The stream failed.
    Io(io::Error),
}

impl FrameError {
    /// The connection ended without a close frame.
    fn cut_off() -> Self {
        Self::Closed {
            code: 1006,
            text: "unexpected EOF".to_owned(),
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { code, text } => {
                write!(f, "websocket: close {code}{}", meaning(*code))?;
                if text.is_empty() {
                    Ok(())
                } else {
                    write!(f, ": {text}")
                }
            }
            Self::Protocol(reason) => write!(f, "websocket: {reason}"),
            Self::TooLong => write!(
                f,
                "websocket: read limit exceeded: a message has more than {LONGEST_MESSAGE} bytes"
            ),
            Self::TimedOut(timed_out) => write!(f, "i/o timeout: {timed_out}"),
            Self::Io(error) => write!(f, "{}", SystemError(error)),
        }
    }
}

fn meaning(code: u16) -> &'static str {
    match code {
        1000 => " (normal)",
        1001 => " (going away)",
        1002 => " (protocol error)",
        1003 => " (unsupported data)",
        1005 => " (no status)",
        1006 => " (abnormal closure)",
        1007 => " (invalid payload data)",
        1008 => " (policy violation)",
        1009 => " (message too big)",
        1010 => " (mandatory extension missing)",
        1011 => " (internal server error)",
        1015 => " (TLS handshake error)",
        _ => "",
    }
}

/// Whether a peer may close with this code.
fn may_close_with(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1013) || (3000..=4999).contains(&code)
}

/// The client's side of a WebSocket connection.
pub struct Frames<S> {
    stream: S,
    /// What came and was not used yet.
    buffer: BytesMut,
}

/// The head of a frame from the server.
struct Head {
    opcode: u8,
    last: bool,
    length: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Goes on where the handshake ended; `early` is what came behind it.
    pub fn new(stream: S, early: BytesMut) -> Self {
        Self {
            stream,
            buffer: early,
        }
    }

    /// Reads the next text or binary message. Pings on the way are answered.
    pub async fn message(&mut self, deadline: Deadline) -> Result<Vec<u8>, FrameError> {
        match deadline.within(self.read_message()).await {
            Ok(read) => read,
            Err(timed_out) => Err(FrameError::TimedOut(timed_out)),
        }
    }

    /// Sends a text message.
    pub async fn send(&mut self, text: &[u8], deadline: Deadline) -> Result<(), FrameError> {
        let mut frames = Vec::with_capacity(text.len() + 64);
        let count = text.len().div_ceil(FRAGMENT);
        for (index, part) in text.chunks(FRAGMENT).enumerate() {
            let opcode = if index == 0 { TEXT } else { CONTINUATION };
            append_frame(&mut frames, opcode, index + 1 == count, part);
        }
        match deadline.within(self.write(&frames)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(FrameError::Io(error)),
            Err(timed_out) => Err(FrameError::TimedOut(timed_out)),
        }
    }

    /// Ends the connection below the frames, as upstream does: without a close frame.
    pub async fn shut_down(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    async fn read_message(&mut self) -> Result<Vec<u8>, FrameError> {
        let mut message: Option<Vec<u8>> = None;
        loop {
            let head = self.head(message.is_some()).await?;
            if head.opcode >= CLOSE {
                self.control(&head).await?;
                continue;
            }
            let message = message.get_or_insert_default();
            if head.length > LONGEST_MESSAGE - message.len() as u64 {
                self.close(1009, "").await;
                return Err(FrameError::TooLong);
            }
            self.payload(head.length, message).await?;
            if head.last {
                return Ok(std::mem::take(message));
            }
        }
    }

    /// Reads the head of a frame. `within` says that a message is under way.
    async fn head(&mut self, within: bool) -> Result<Head, FrameError> {
        let [first, second] = self.array().await?;
        let (opcode, last) = (first & 0x0f, first & 0x80 != 0);
        let short = second & 0x7f;
        let mut faults = Vec::new();
        for (bit, name) in [(0x40, "RSV1 set"), (0x20, "RSV2 set"), (0x10, "RSV3 set")] {
            if first & bit != 0 {
                faults.push(name.to_owned());
            }
        }
        match opcode {
            CLOSE | PING | PONG => {
                if u64::from(short) > LONGEST_CONTROL {
                    faults.push("len > 125 for control".to_owned());
                }
                if !last {
                    faults.push("FIN not set on control".to_owned());
                }
            }
            TEXT | BINARY if within => faults.push("data before FIN".to_owned()),
            CONTINUATION if !within => faults.push("continuation after FIN".to_owned()),
            TEXT | BINARY | CONTINUATION => {}
            _ => faults.push(format!("bad opcode {opcode}")),
        }
        if second & 0x80 != 0 {
            faults.push("bad MASK".to_owned());
        }
        if !faults.is_empty() {
            return Err(self.refuse(faults.join(", ")).await);
        }
        let length = match short {
            126 => u16::from_be_bytes(self.array().await?).into(),
            127 => u64::from_be_bytes(self.array().await?),
            short => short.into(),
        };
        // The highest bit must not be set; gorilla ends here without a word.
        if i64::try_from(length).is_err() {
            return Err(FrameError::TooLong);
        }
        Ok(Head { opcode, last, length })
    }

    /// Handles a control frame: answers a ping, and a close with an error.
    async fn control(&mut self, head: &Head) -> Result<(), FrameError> {
        let mut payload = Vec::new();
        self.payload(head.length, &mut payload).await?;
        match head.opcode {
            PING => {
                let mut pong = Vec::new();
                append_frame(&mut pong, PONG, true, &payload);
                self.write(&pong).await.map_err(FrameError::Io)
            }
            CLOSE => Err(self.closed(&payload).await),
            _ => Ok(()),
        }
    }

    /// What a close frame says, after it was answered.
    async fn closed(&mut self, payload: &[u8]) -> FrameError {
        let Some((code, text)) = payload.split_first_chunk() else {
            self.close(1005, "").await;
            return FrameError::Closed {
                code: 1005,
                text: String::new(),
            };
        };
        let code = u16::from_be_bytes(*code);
        if !may_close_with(code) {
            return self.refuse(format!("bad close code {code}")).await;
        }
        let Ok(text) = std::str::from_utf8(text) else {
            return self
                .refuse("invalid utf8 payload in close frame".to_owned())
                .await;
        };
        self.close(code, "").await;
        FrameError::Closed {
            code,
            text: text.to_owned(),
        }
    }

    async fn refuse(&mut self, reason: String) -> FrameError {
        self.close(1002, &reason).await;
        FrameError::Protocol(reason)
    }

    /// Sends a close frame; that the peer may not take it is no matter any more.
    async fn close(&mut self, code: u16, text: &str) {
        let mut payload = Vec::new();
        if code != 1005 {
            payload.extend(code.to_be_bytes());
            payload.extend(text.bytes());
            payload.truncate(125);
        }
        let mut frame = Vec::new();
        append_frame(&mut frame, CLOSE, true, &payload);
        let _ = self.write(&frame).await;
    }

    async fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        self.stream.write_all(frames).await?;
        self.stream.flush().await
    }

    async fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        while self.buffer.len() < N {
            self.fill().await?;
        }
        let mut array = [0; N];
        self.buffer.copy_to_slice(&mut array);
        Ok(array)
    }

    /// Appends the next `length` bytes to `to`, which grows as they come.
    async fn payload(&mut self, length: u64, to: &mut Vec<u8>) -> Result<(), FrameError> {
        let mut left = usize::try_from(length).map_err(|_| FrameError::TooLong)?;
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill().await?;
            }
            let part = self.buffer.split_to(left.min(self.buffer.len()));
            left -= part.len();
            to.extend_from_slice(&part);
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), FrameError> {
        self.buffer.reserve(FRAGMENT);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(FrameError::cut_off()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(FrameError::cut_off()),
            Err(error) => Err(FrameError::Io(error)),
        }
    }
}

/// Appends a masked frame.
fn append_frame(frames: &mut Vec<u8>, opcode: u8, last: bool, payload: &[u8]) {
    frames.push(if last { opcode | 0x80 } else { opcode });
    match payload.len() {
        // The lengths fit: the arms say so.
        short @ 0..=125 => frames.push(0x80 | u8::try_from(short).unwrap_or_default()),
        medium @ 126..=0xffff => {
            frames.push(0x80 | 126);
            frames.extend(u16::try_from(medium).unwrap_or_default().to_be_bytes());
        }
        long => {
            frames.push(0x80 | 127);
            frames.extend((long as u64).to_be_bytes());
        }
    }
    let mask: [u8; 4] = rand::random();
    frames.extend(mask);
    frames.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
}
