//! The answer to a call of gRPC's health service, in pieces of a size that the first byte says: header blocks, messages and trailers.
//! SETTINGS come before the rest.
#![no_main]

use std::sync::LazyLock;

use blackbox_exporter::prober::grpc::call::call;
use go_http::http2::{Connection, Manner};
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Option<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().ok());

fuzz_target!(|data: &[u8]| {
    let (Some((size, data)), Some(runtime)) = (data.split_first(), RUNTIME.as_ref()) else {
        return;
    };
    runtime.block_on(async {
        let (ours, peers) = tokio::io::duplex(1 + usize::from(*size));
        let (mut hears, mut says) = tokio::io::split(peers);
        let ask = async {
            let mut connection = Connection::new(ours, Manner::Grpc);
            let _ = call(
                &mut connection,
                &[(":method", b"POST")],
                &b"\0\0\0\0\0"[..].into(),
            )
            .await;
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
