//! An HTTP/1 answer that comes through a pair of sockets in pieces: head, body and trailers are read to their end, or
//! refused. The first byte says how large the pieces are, and which method was asked for.
#![no_main]

use std::sync::LazyLock;

use go_http::http1::{RequestBody, exchange};
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
        let (ours, peers) = tokio::io::duplex(1 + usize::from(shape / 2));
        let (mut hears, mut says) = tokio::io::split(peers);
        let method = if shape % 2 == 0 { "GET" } else { "HEAD" };
        let request = format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
        let ask = async {
            let mut first_byte = go_http::FirstByte::default();
            if let Ok(mut answer) =
                exchange(ours, method, request, RequestBody::Empty, false, &mut first_byte).await
            {
                let read = tokio::io::copy(&mut answer.body, &mut tokio::io::sink()).await;
                assert!(read.is_err() || read.is_ok_and(|bytes| bytes <= data.len() as u64));
            }
        };
        let speak = async {
            let _ = says.write_all(data).await;
            let _ = says.shutdown().await;
        };
        let hear = async {
            let _ = tokio::io::copy(&mut hears, &mut tokio::io::sink()).await;
        };
        tokio::join!(ask, speak, hear);
    });
});
