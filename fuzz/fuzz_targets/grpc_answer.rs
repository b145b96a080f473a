//! The answer to a call of gRPC's health service, in pieces of a size that the first byte says: header blocks, messages and trailers.
//! SETTINGS come before the rest.
#![no_main]

mod peer;

use blackbox_exporter::prober::grpc::call::call;
use go_http::http2::{Connection, Manner};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((size, data)) = data.split_first() else {
        return;
    };
    let said = [&b"\0\0\0\x04\0\0\0\0\0"[..], data].concat();
    peer::against(1 + usize::from(*size), &said, async |stream| {
        let mut connection = Connection::new(stream, Manner::Grpc);
        let _ = call(
            &mut connection,
            &[(":method", b"POST")],
            &b"\0\0\0\0\0"[..].into(),
        )
        .await;
    });
});
