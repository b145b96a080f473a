//! An HTTP/1 answer that comes through a pair of sockets in pieces: head, body and trailers are read to their end, or
//! refused. The first byte says how large the pieces are, and which method was asked for.
#![no_main]

mod peer;

use go_http::FirstByte;
use go_http::http1::{MAX_HEAD, RequestBody, exchange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((piece, method, data)) = peer::shape(data) else {
        return;
    };
    peer::against(piece, data, async |stream| {
        let head = format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
        if let Ok(answer) = exchange(
            stream,
            method,
            head,
            RequestBody::Empty,
            false,
            &mut FirstByte::default(),
            MAX_HEAD,
        )
        .await
        {
            peer::read(answer.body, data).await;
        }
    });
});
