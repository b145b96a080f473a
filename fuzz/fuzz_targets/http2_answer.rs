//! An answer over HTTP/2 that comes in pieces: frames, header blocks and the table that they share. The first byte says how large the
//! pieces are, and which method was asked for; SETTINGS come before the rest.
#![no_main]

use std::sync::LazyLock;

use go_http::headers::Headers;
use go_http::http1::RequestBody;
use go_http::http2::{Request, exchange};
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
        let headers = Headers::default();
        let request = Request {
            method: if shape % 2 == 0 { "GET" } else { "HEAD" },
            scheme: "https",
            authority: "x",
            path: b"/",
            headers: &headers,
        };
        let ask = async {
            let answer = exchange(ours, request, RequestBody::Empty, false, &mut go_http::FirstByte::default()).await;
            if let Ok(mut answer) = answer {
                let read = tokio::io::copy(&mut answer.body, &mut tokio::io::sink()).await;
                assert!(read.is_err() || read.is_ok_and(|bytes| bytes <= data.len() as u64));
            }
        };
        let speak = async {
            let _ = says.write_all(b"\0\0\0\x04\0\0\0\0\0").await;
            let _ = says.write_all(data).await;
            let _ = says.shutdown().await;
        };
        let hear = async {
            let _ = tokio::io::copy(&mut hears, &mut tokio::io::sink()).await;
        };
        tokio::join!(ask, speak, hear);
    });
});
