//! What came from a peer and hyper has not seen yet. Where hyper needs it, the first line of a head is rewritten here.

use std::borrow::Cow;

use memchr::memchr;
use tokio::io::ReadBuf;

use super::request_line;
use super::requests::Requests;

/// The beginning of a head: until its first line is whole, then what hyper's buffer had no room for.
#[derive(Debug, Default)]
pub struct Held {
    bytes: Vec<u8>,
    /// Whether they are what hyper is to see.
    is_ready: bool,
}

impl Held {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether there is something for hyper to see.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Puts what hyper has seen in front.
    pub fn put_back(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes.splice(..0, bytes.iter().copied());
            self.is_ready = true;
        }
    }

    /// Hands out half a line, of which no more comes.
    pub fn end(&mut self, buffer: &mut ReadBuf<'_>) {
        self.is_ready = true;
        self.hand_out(buffer);
    }

    /// Rewrites the first line of a head where hyper needs it. False when the line is not whole yet.
    pub fn read_line(&mut self, buffer: &mut ReadBuf<'_>, before: usize, requests: &Requests) -> bool {
        let came = buffer.filled().get(before..).unwrap_or_default();
        let whole = if self.bytes.is_empty() {
            Cow::Borrowed(came)
        } else {
            self.bytes.extend_from_slice(came);
            Cow::Owned(std::mem::take(&mut self.bytes))
        };
        let Some(end) = memchr(b'\n', &whole).filter(|end| *end <= request_line::LONGEST) else {
            if whole.len() < request_line::LONGEST {
                self.bytes = whole.into_owned();
                buffer.set_filled(before);
                return false;
            }
            self.instead(whole.into_owned(), buffer, before);
            return true;
        };
        let (line, rest) = whole.split_at(end);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if request_line::is_of_another_version(line) {
            requests.refuse("505 HTTP Version Not Supported: unsupported protocol version");
        }
        match (request_line::normal(line), &whole) {
            (Cow::Borrowed(_), Cow::Borrowed(_)) => {}
            (Cow::Borrowed(_), Cow::Owned(whole)) => self.instead(whole.clone(), buffer, before),
            (Cow::Owned(line), _) => self.instead([&line, &b"\r"[..], rest].concat(), buffer, before),
        }
        true
    }

    /// Hands these bytes out in the place of those that were read.
    fn instead(&mut self, bytes: Vec<u8>, buffer: &mut ReadBuf<'_>, before: usize) {
        buffer.set_filled(before);
        (self.bytes, self.is_ready) = (bytes, true);
        self.hand_out(buffer);
    }

    /// Hands out what there is room for.
    pub fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) {
        let bytes = self.bytes.len().min(buffer.remaining());
        buffer.put_slice(self.bytes.get(..bytes).unwrap_or_default());
        self.bytes.drain(..bytes);
        if self.bytes.is_empty() {
            *self = Self::default();
        }
    }
}
