//! An answer, whatever protocol it came by.

use tokio::io::AsyncBufRead;

use crate::net::headers::Headers;
use crate::net::http1::{Head, Response};
use crate::net::tls::facts::TlsFacts;

/// An answer whose body was not read yet.
pub(super) struct HttpResponse {
    /// As the answer has it: `HTTP/1.1`, `HTTP/2.0`.
    pub(super) protocol: String,
    /// Major and minor version.
    pub(super) version: (u8, u8),
    /// Status code.
    pub(super) status: u16,
    /// Header fields.
    pub(super) headers: Headers,
    /// The content length that is exposed: -1 when unknown.
    pub(super) told_length: i64,
    /// The body.
    pub(super) body: ResponseBody,
    /// Facts of TLS, if it came over it.
    pub(super) tls: Option<Box<TlsFacts>>,
}

impl HttpResponse {
    /// An answer that did not come over TLS, as far as it knows.
    pub(super) fn new(head: Head, told_length: i64, body: ResponseBody) -> Box<Self> {
        // Boxed: otherwise every future that waits for it holds room for it.
        Box::new(Self {
            protocol: head.protocol,
            version: head.version,
            status: head.status,
            headers: head.headers,
            told_length,
            body,
            tls: None,
        })
    }

    /// The same of an answer whose body is read as it comes.
    pub(super) fn from_answer<B>(answer: Response<B>) -> Box<Self>
    where
        B: AsyncBufRead + Send + Unpin + 'static,
    {
        let body = match answer.has_body {
            true => ResponseBody::Stream(Box::new(answer.body)),
            false => ResponseBody::Empty,
        };
        Self::new(answer.head, answer.told_length, body)
    }
}

/// The body of an answer.
pub(super) enum ResponseBody {
    /// There is none.
    Empty,
    /// To be read.
    Stream(Box<dyn AsyncBufRead + Send + Unpin>),
    /// Closed unread, because a redirect was not followed.
    Closed,
}

impl ResponseBody {
    /// Closes it: what is to be read cannot be read any more.
    pub(super) fn close(&mut self) {
        if matches!(self, Self::Stream(_)) {
            *self = Self::Closed;
        }
    }
}
