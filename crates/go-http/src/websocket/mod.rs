//! Messages and frames (RFC 6455, section 5) as gorilla/websocket reads and writes them: text is not checked for UTF-8.

mod error;

use std::io;

use bytes::{Buf, BytesMut};
use gostd::deadline::Deadline;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub use error::FrameError;

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

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Text, which peers may refuse when it is not UTF-8 (RFC 6455, section 5.6).
    Text,
    /// Any bytes.
    Binary,
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

    /// Sends a message.
    pub async fn send(
        &mut self,
        kind: MessageKind,
        message: &[u8],
        deadline: Deadline,
    ) -> Result<(), FrameError> {
        let mut frames = Vec::with_capacity(message.len() + 64);
        let count = message.len().div_ceil(FRAGMENT);
        for (index, part) in message.chunks(FRAGMENT).enumerate() {
            let opcode = match (index, kind) {
                (1.., _) => CONTINUATION,
                (0, MessageKind::Text) => TEXT,
                (0, MessageKind::Binary) => BINARY,
            };
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    /// A frame from the server.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(u8::try_from(short).unwrap()),
            medium @ 126..0x1_0000 => {
                frame.push(126);
                frame.extend(u16::try_from(medium).unwrap().to_be_bytes());
            }
            long => {
                frame.push(127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    /// The lengths of the messages that are read, how it ended, and the kinds of frames that were answered.
    async fn read(wire: &[u8], piece: usize) -> (Vec<usize>, String, Vec<u8>) {
        let (ours, peer) = tokio::io::duplex(piece.max(1));
        let (mut hears, mut says) = tokio::io::split(peer);
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(30));
        let client = async {
            let (mut frames, mut lengths) = (Frames::new(ours, BytesMut::new()), Vec::new());
            loop {
                match frames.message(deadline).await {
                    Ok(message) => lengths.push(message.len()),
                    Err(error) => return (lengths, error.to_string()),
                }
            }
        };
        let speak = async {
            let _ = says.write_all(wire).await;
            let _ = says.shutdown().await;
        };
        let hear = async {
            let mut heard = Vec::new();
            let _ = hears.read_to_end(&mut heard).await;
            heard
        };
        let ((lengths, end), (), heard) = tokio::join!(client, speak, hear);
        // Head, mask and payload of each.
        let (mut kinds, mut rest) = (Vec::new(), heard.as_slice());
        while let [first, second, after @ ..] = rest {
            assert_eq!(second & 0x80, 0x80, "what a client sends is masked");
            kinds.push(first & 0x0f);
            rest = &after[4 + usize::from(second & 0x7f)..];
        }
        (lengths, end, kinds)
    }

    /// The cases of Autobahn's suite that concern a client without extensions, with what gorilla/websocket makes of them: it does not
    /// look at the text of messages (section 6 of the suite).
    #[tokio::test]
    async fn cases_of_autobahn() {
        const CUT: &str = "websocket: close 1006 (abnormal closure): unexpected EOF";
        const OK: &[u8] = &[];
        let text = |payload: &[u8]| frame(0x81, payload);
        let close = |payload: &[u8]| frame(0x88, payload);
        let code = |code: u16, reason: &[u8]| close(&[&code.to_be_bytes(), reason].concat());
        let refused = |why: &str| format!("websocket: {why}");
        let closed = |what: &str| format!("websocket: close {what}");
        // case, what comes, lengths of the messages, how it ends, kinds of the answers
        type Row = (&'static str, Vec<u8>, Vec<usize>, String, &'static [u8]);
        #[rustfmt::skip]
        let mut rows: Vec<Row> = vec![
            ("2.1 ping", frame(0x89, b""), vec![], CUT.to_owned(), &[PONG][..]),
            ("2.4 ping of 125", frame(0x89, &[0xfe; 125]), vec![], CUT.to_owned(), &[PONG]),
            ("2.5 ping of 126", frame(0x89, &[0xfe; 126]), vec![], refused("len > 125 for control"), &[CLOSE]),
            ("2.7 unasked pong", frame(0x8a, b"x"), vec![], CUT.to_owned(), OK),
            ("2.10 ten pings", frame(0x89, b"p").repeat(10), vec![], CUT.to_owned(), &[PONG; 10]),
            ("3.1 RSV1", frame(0xc1, b"x"), vec![], refused("RSV1 set"), &[CLOSE]),
            ("3.4 RSV3 after a message", [text(b"a"), frame(0x91, b"x")].concat(), vec![1], refused("RSV3 set"), &[CLOSE]),
            ("3.7 all of them", frame(0xf9, b""), vec![], refused("RSV1 set, RSV2 set, RSV3 set"), &[CLOSE]),
            ("5.1 ping in fragments", [frame(0x09, b"a"), frame(0x80, b"b")].concat(), vec![], refused("FIN not set on control"), &[CLOSE]),
            ("5.3 two fragments", [frame(0x01, b"a"), frame(0x80, b"b")].concat(), vec![2], CUT.to_owned(), OK),
            ("5.6 a ping between", [frame(0x01, b"a"), frame(0x89, b"p"), frame(0x80, b"b")].concat(), vec![2], CUT.to_owned(), &[PONG]),
            ("5.9 a continuation of nothing", [frame(0x80, b"x"), text(b"a")].concat(), vec![], refused("continuation after FIN"), &[CLOSE]),
            ("5.12 one that goes on", frame(0x00, b"x"), vec![], refused("continuation after FIN"), &[CLOSE]),
            ("5.15 and behind a message", [frame(0x01, b"a"), frame(0x80, b"b"), frame(0x00, b"c")].concat(), vec![2], refused("continuation after FIN"), &[CLOSE]),
            ("5.18 a text within a text", [frame(0x01, b"a"), text(b"b")].concat(), vec![], refused("data before FIN"), &[CLOSE]),
            ("5.20 empty fragments and pings", [frame(0x01, b""), frame(0x89, b""), frame(0x00, b""), frame(0x89, b""), frame(0x80, b"")].concat(), vec![0], CUT.to_owned(), &[PONG, PONG]),
            ("6.3 no UTF-8", text(b"\xce\xba\xed\xa0\x80"), vec![5], CUT.to_owned(), OK),
            ("7.1 nothing after the end", [close(b""), text(b"a")].concat(), vec![], closed("1005 (no status)"), &[CLOSE]),
            ("7.1.4 within a message", [frame(0x01, b"a"), close(b""), frame(0x80, b"b")].concat(), vec![], closed("1005 (no status)"), &[CLOSE]),
            ("7.3.2 one byte", close(b"\x03"), vec![], closed("1005 (no status)"), &[CLOSE]),
            ("7.3.3 a code", code(1000, b""), vec![], closed("1000 (normal)"), &[CLOSE]),
            ("7.3.4 a reason", code(1000, b"bye"), vec![], closed("1000 (normal): bye"), &[CLOSE]),
            ("7.3.5 a long one", code(1000, &[b'*'; 123]), vec![], closed(&format!("1000 (normal): {}", "*".repeat(123))), &[CLOSE]),
            ("7.3.6 one too long", code(1000, &[b'*'; 124]), vec![], refused("len > 125 for control"), &[CLOSE]),
            ("7.5 no UTF-8", code(1000, b"\xce\xba\xed\xa0\x80"), vec![], refused("invalid utf8 payload in close frame"), &[CLOSE]),
            ("a mask", vec![0x81, 0x81, 0, 0, 0, 0, b'a'], vec![], refused("bad MASK"), &[CLOSE]),
            ("cut off", vec![0x81, 5, b'a'], vec![], CUT.to_owned(), OK),
        ];
        for length in [0, 125, 126, 127, 128, 65_535, 65_536] {
            let payload = vec![b'*'; length];
            for (case, first) in [("1.1 text", 0x81), ("1.2 binary", 0x82)] {
                rows.push((case, frame(first, &payload), vec![length], CUT.to_owned(), OK));
            }
        }
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            let wire = [text(b"a"), frame(0x80 | opcode, b"")].concat();
            let end = refused(&format!("bad opcode {opcode}"));
            rows.push(("4 opcodes", wire, vec![1], end, &[CLOSE]));
        }
        for valid in [
            1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
        ] {
            let end = closed(&format!("{valid}{}", error::meaning(valid)));
            rows.push(("7.7 valid codes", code(valid, b""), vec![], end, &[CLOSE]));
        }
        for invalid in [
            0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
        ] {
            let end = refused(&format!("bad close code {invalid}"));
            rows.push(("7.9 invalid codes", code(invalid, b""), vec![], end, &[CLOSE]));
        }
        for (case, wire, lengths, end, answers) in rows {
            for piece in [1 << 20, 1460, 1] {
                let got = read(&wire, piece).await;
                assert_eq!(
                    got,
                    (lengths.clone(), end.clone(), answers.to_vec()),
                    "{case} in pieces of {piece}"
                );
            }
        }
    }

    /// Frames without content go on without end: others have their turn, and the deadline ends it.
    #[tokio::test]
    async fn empty_frames_do_not_hold_up_others() {
        for piece in [frame(0x00, b""), frame(0x8a, b"")] {
            let (ours, mut peer) = tokio::io::duplex(1 << 16);
            let begin = frame(0x01, b"a");
            tokio::spawn(async move {
                let _ = peer.write_all(&begin).await;
                while peer.write_all(&piece.repeat(30_000)).await.is_ok() {}
            });
            let deadline = Deadline::after(Instant::now(), Duration::from_millis(200));
            let error = Frames::new(ours, BytesMut::new()).message(deadline).await;
            assert!(matches!(error, Err(FrameError::TimedOut(_))));
        }
    }
}
