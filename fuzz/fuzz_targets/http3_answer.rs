//! An answer over HTTP/3 that comes on a stream in pieces: frames and field sections. The first byte says how large the pieces are,
//! and which method was asked for.
#![no_main]

mod peer;

use go_http::http3::read_answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((piece, method, data)) = peer::shape(data) else {
        return;
    };
    peer::against(piece, data, async |stream| {
        if let Ok(answer) = read_answer(stream, method).await {
            peer::read(answer.body, data).await;
        }
    });
});
