//! An answer on its way to a caller: handed out in pieces of a bounded size, so that what nobody takes stays here, where
//! it is counted, and a caller that takes nothing is noticed.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody as _};
use hyper::body::{Frame, SizeHint};

use super::requests::{Requests, ResponseInFlight};
use crate::memory::{self, Share, Use};
use crate::server::answer::{self, Response};

/// Bytes in one piece.
const PIECE: usize = 16 << 10;
/// Longer answers need room in the budget of memory.
const SMALL: u64 = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub struct Outgoing {
    body: Body,
    /// What was made and not handed out yet.
    rest: Bytes,
    answer: ResponseInFlight,
    _share: Option<Share>,
}

/// Sends an answer on its way. A long one that there is no memory for becomes a refusal.
pub fn send(response: Response, requests: &Requests) -> http::Response<Outgoing> {
    let size = response.body().size_hint().exact().unwrap_or(0);
    let (response, share) = if size <= SMALL {
        (response, None)
    } else {
        match memory::take(Use::Answers, usize::try_from(size).unwrap_or(usize::MAX)) {
            Some(share) => (response, Some(share)),
            None => (answer::no_memory("answer"), None),
        }
    };
    let answer = requests.answer();
    response.map(|body| Outgoing {
        body,
        rest: Bytes::new(),
        answer,
        _share: share,
    })
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        // Whoever asks for more has taken what there was.
        this.answer.was_taken();
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                // No answer of ours fails half-way.
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
        if this.rest.is_empty() {
            // What makes the pieces has worked for nothing yet: it goes on after the others.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        match hint.exact() {
            Some(size) => hint.set_exact(size + rest),
            None => hint.set_lower(hint.lower() + rest),
        }
        hint
    }
}
