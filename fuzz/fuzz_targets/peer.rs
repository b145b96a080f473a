//! A peer for the targets that read what a server sends.

use std::sync::LazyLock;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Option<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().ok());

/// What `ask` makes of a peer that sends `data` in pieces of at most `piece` bytes and then ends, and what the peer heard.
pub fn against<T>(
    piece: usize,
    data: &[u8],
    ask: impl AsyncFnOnce(DuplexStream) -> T,
) -> Option<(T, Vec<u8>)> {
    Some(RUNTIME.as_ref()?.block_on(async {
        let (ours, peers) = tokio::io::duplex(piece);
        let (mut hears, mut says) = tokio::io::split(peers);
        let speak = async {
            let _ = says.write_all(data).await;
            let _ = says.shutdown().await;
        };
        let hear = async {
            let mut heard = Vec::new();
            let _ = hears.read_to_end(&mut heard).await;
            heard
        };
        let (asked, (), heard) = tokio::join!(ask(ours), speak, hear);
        (asked, heard)
    }))
}

/// Splits the first byte off: the size of the pieces in which the rest comes, and the method that was asked with.
#[allow(dead_code, reason = "some targets ask in one way only")]
pub fn shape(data: &[u8]) -> Option<(usize, &'static str, &[u8])> {
    let (shape, data) = data.split_first()?;
    let method = if shape % 2 == 0 { "GET" } else { "HEAD" };
    Some((1 + usize::from(shape / 2), method, data))
}

/// Reads a body, which is no longer than what was sent.
#[allow(dead_code, reason = "some targets have no body")]
pub async fn read(mut body: impl AsyncRead + Unpin, sent: &[u8]) {
    let read = tokio::io::copy(&mut body, &mut tokio::io::sink()).await;
    assert!(read.is_err() || read.is_ok_and(|bytes| bytes <= sent.len() as u64));
}
