//! Bodies of requests over HTTP/1 that no endpoint reads. As in Go's server, they are read before the response is sent: hyper would close
//! the connection, and a caller that is still sending could lose the response.

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use hyper::body::{Body as _, Incoming};

use super::http1::keeps_alive;
use crate::net::headers::has_token;

/// Longest body that is read, in bytes: Go's limit.
const LONGEST: usize = 256 << 10;

/// How long the rest of a body is waited for on a connection that ends with the response. Go's server responds first and closes so much
/// later.
const LINGER: Duration = Duration::from_millis(500);

/// A body that is to be read.
#[derive(Debug)]
pub struct Unread {
    body: Incoming,
    /// `None` if the caller sends it only when it is asked to, and is not.
    patience: Option<Duration>,
}

impl Unread {
    /// `None` where nothing is left to read. `patience` is for a connection that stays. Boxed, because few requests have a body.
    pub fn of(request: &Parts, body: Incoming, patience: Duration) -> Option<Box<Self>> {
        if request.version > Version::HTTP_11 || body.is_end_stream() {
            return None;
        }
        let expected = request.headers.get(EXPECT);
        // HTTP/1.0 does not know it.
        let is_asked_for = request.version == Version::HTTP_11
            && expected.is_some_and(|expected| has_token(expected.as_bytes(), "100-continue"));
        let patience = if keeps_alive(request.version, &request.headers) {
            patience
        } else {
            LINGER
        };
        Some(Box::new(Self {
            body,
            patience: (!is_asked_for).then_some(patience),
        }))
    }

    /// Reads it to its end. False when there is none within the limits: then the connection has to be closed.
    pub async fn finish(self: Box<Self>) -> bool {
        let Some(patience) = self.patience else {
            return false;
        };
        let mut pieces = Body::new(self.body).into_data_stream();
        let end = async {
            let mut left = LONGEST;
            while let Some(piece) = pieces.next().await {
                match piece.ok().and_then(|piece| left.checked_sub(piece.len())) {
                    Some(less) => left = less,
                    None => return false,
                }
            }
            true
        };
        tokio::time::timeout(patience, end).await.unwrap_or(false)
    }
}
