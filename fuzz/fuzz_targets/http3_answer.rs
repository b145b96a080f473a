//! An answer over HTTP/3 that comes on a stream in pieces: frames and field sections. The first byte says how large the pieces are,
//! and which method was asked for.
#![no_main]

use std::sync::LazyLock;

use go_http::http3::read_answer;
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Option<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().ok());

fuzz_target!(|data: &[u8]| {
    let (Some((shape, data)), Some(runtime)) = (data.split_first(), RUNTIME.as_ref()) else {
        return;
    };
    runtime.block_on(async {
        let (ours, mut peer) = tokio::io::duplex(1 + usize::from(shape / 2));
        let method = if shape % 2 == 0 { "GET" } else { "HEAD" };
        let ask = async {
            if let Ok(mut answer) = read_answer(ours, method).await {
                let read = tokio::io::copy(&mut answer.body, &mut tokio::io::sink()).await;
                assert!(read.is_err() || read.is_ok_and(|bytes| bytes <= data.len() as u64));
            }
        };
        let speak = async {
            let _ = peer.write_all(data).await;
            drop(peer);
        };
        tokio::join!(ask, speak);
    });
});
