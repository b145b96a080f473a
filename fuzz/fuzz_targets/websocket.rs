//! What a server sends on a WebSocket, in pieces of a size that the first byte says: messages, fragments and control frames are read
//! to the end, or refused.
#![no_main]

use std::sync::LazyLock;

use std::time::Duration;

use go_http::websocket::{Frames, LONGEST_MESSAGE};
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

static RUNTIME: LazyLock<Option<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().ok());

fuzz_target!(|data: &[u8]| {
    let (Some((size, data)), Some(runtime)) = (data.split_first(), RUNTIME.as_ref()) else {
        return;
    };
    runtime.block_on(async {
        let (ours, peers) = tokio::io::duplex(1 + usize::from(*size));
        let (mut hears, mut says) = tokio::io::split(peers);
        let read = async {
            let deadline = gostd::deadline::Deadline::after(Instant::now(), Duration::from_secs(60));
            let mut frames = Frames::new(ours, Default::default());
            while let Ok(message) = frames.message(deadline).await {
                assert!(message.len() as u64 <= LONGEST_MESSAGE && message.len() <= data.len());
            }
        };
        let speak = async {
            let _ = says.write_all(data).await;
            let _ = says.shutdown().await;
        };
        let hear = async {
            let _ = tokio::io::copy(&mut hears, &mut tokio::io::sink()).await;
        };
        tokio::join!(read, speak, hear);
    });
});
