//! What a server sends on a WebSocket, in pieces of a size that the first byte says: messages, fragments and control frames are read
//! to the end, or refused.
#![no_main]

mod peer;

use std::time::Duration;

use go_http::websocket::{Frames, LONGEST_MESSAGE};
use libfuzzer_sys::fuzz_target;
use tokio::time::Instant;

fuzz_target!(|data: &[u8]| {
    let Some((size, data)) = data.split_first() else {
        return;
    };
    peer::against(1 + usize::from(*size), data, async |stream| {
        let deadline = gostd::deadline::Deadline::after(Instant::now(), Duration::from_secs(60));
        let mut frames = Frames::new(stream, Default::default());
        while let Ok(message) = frames.message(deadline).await {
            assert!(message.len() as u64 <= LONGEST_MESSAGE && message.len() <= data.len());
        }
    });
});
