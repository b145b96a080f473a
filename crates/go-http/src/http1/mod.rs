//! An HTTP/1 client connection, one request a connection: what it sends is Go's to the byte, and it takes what Go takes.
//!
//! hyper refuses answers that upstream judges (status lines with `HTTP/1.2`, status 042, chunks in HTTP/1.0, odd header
//! values), hides when the first byte came, and cannot send every URL that Go sends; see `docs/dependencies.md`.

mod body;
mod exchange;
mod framing;
mod head;
mod reader;
mod request;

pub use body::{Body, BodyError};
pub use exchange::{ExchangeError, Response, exchange};
pub use framing::{Framing, Length, LengthError, measure};
pub use head::{Head, HeadError, HeadParser, MAX_HEAD};
pub use reader::{ResponseReader, WriteError};
pub use request::{FileBody, RequestBody, RequestLine, write_head};
