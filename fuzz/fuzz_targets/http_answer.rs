//! An HTTP/1 answer through a stream: head, body and trailers are read to their end, or refused.
#![no_main]

use blackbox_exporter::net::http1::{RequestBody, exchange};
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;

fuzz_target!(|data: &[u8]| {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
    else {
        return;
    };
    runtime.block_on(async {
        let (ours, mut peers) = tokio::io::duplex(data.len() + 4096);
        let _ = peers.write_all(data).await;
        let _ = peers.shutdown().await;
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        let mut first_byte = None;
        if let Ok(mut answer) =
            exchange(ours, "GET", request, RequestBody::Empty, false, &mut first_byte).await
        {
            let read = tokio::io::copy(&mut answer.body, &mut tokio::io::sink()).await;
            assert!(read.is_err() || read.is_ok_and(|bytes| bytes <= data.len() as u64));
        }
    });
});
