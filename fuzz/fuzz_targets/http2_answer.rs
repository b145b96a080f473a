//! An answer over HTTP/2 that comes in pieces: frames, header blocks and the table that they share. The first byte says how large the
//! pieces are, and which method was asked for; SETTINGS come before the rest.
#![no_main]

mod peer;

use go_http::FirstByte;
use go_http::headers::Headers;
use go_http::http1::RequestBody;
use go_http::http2::{Request, exchange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((piece, method, data)) = peer::shape(data) else {
        return;
    };
    let said = [&b"\0\0\0\x04\0\0\0\0\0"[..], data].concat();
    peer::against(piece, &said, async |stream| {
        let request = Request {
            method,
            scheme: "https",
            authority: "x",
            path: b"/",
            headers: &Headers::default(),
        };
        if let Ok(answer) = exchange(
            stream,
            request,
            RequestBody::Empty,
            false,
            &mut FirstByte::default(),
        )
        .await
        {
            peer::read(answer.body, data).await;
        }
    });
});
