//! What TLS costs a probe: preparing, judging certificates, a whole handshake (both sides of it, in memory).
#![allow(missing_docs, reason = "a benchmark has no callers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "a benchmark may fail loudly, and needs not all of the helpers"
)]

use std::sync::Arc;
use std::time::Duration;

use blackbox_exporter::config;
use blackbox_exporter::net::Deadline;
use blackbox_exporter::net::tls::{Alpn, ClientTls, Roots};
use blackbox_exporter::net::x509::{Certificate, Judge, Pool, Purpose};
use divan::Bencher;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::version::TLS13;
use tokio::runtime::Runtime;
use tokio::time::Instant;

#[path = "../tests/suite/support/peer.rs"]
mod peer;
#[allow(unused_imports, reason = "the tests use more of it")]
#[path = "../tests/suite/support/pki/mod.rs"]
mod pki;
#[path = "../tests/suite/support/task.rs"]
mod task;

use pki::{Cert, Made, certified, pem, server_config};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn never() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_secs(3600))
}

fn main() {
    divan::main();
}

/// A root, an intermediate and a leaf, all of P-256, as most of the web has them.
fn hierarchy() -> [Made; 3] {
    let root = Cert::ca("Root").self_signed();
    let intermediate = Cert::ca("Intermediate").by(&root);
    let leaf = Cert::leaf().by(&intermediate);
    [root, intermediate, leaf]
}

fn client(root: &Made) -> ClientTls {
    ClientTls::new(config::Tls {
        ca: pem("CERTIFICATE", &root.der),
        ..config::Tls::default()
    })
}

#[divan::bench]
fn prepare(bencher: Bencher<'_, '_>) {
    let [root, ..] = hierarchy();
    let (client, roots) = (client(&root), Roots::default());
    let runtime = Runtime::new().unwrap();
    bencher.bench_local(|| {
        let prepared = runtime.block_on(client.prepare(&roots, never())).unwrap();
        prepared.client_config(Some("v4.test"), Alpn::Http2).unwrap()
    });
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let [.., leaf] = hierarchy();
    bencher.bench_local(|| Certificate::parse(&leaf.der));
}

#[divan::bench]
fn judge(bencher: Bencher<'_, '_>) {
    let [root, intermediate, leaf] = hierarchy();
    let mut pool = Pool::default();
    pool.add(Arc::new(Certificate::parse(&root.der).unwrap()));
    bencher.bench_local(|| {
        let presented = [&leaf, &intermediate].map(|made| Arc::new(Certificate::parse(&made.der).unwrap()));
        let judge = Judge {
            roots: &pool,
            purpose: Purpose::Server,
            host: "v4.test",
            now: 1_800_000_000,
        };
        judge.verify(&presented).unwrap()
    });
}

#[divan::bench]
fn system_roots(bencher: Bencher<'_, '_>) {
    let client = ClientTls::new(config::Tls::default());
    let runtime = Runtime::new().unwrap();
    bencher.bench_local(|| {
        runtime
            .block_on(client.prepare(&Roots::default(), never()))
            .unwrap()
    });
}

#[divan::bench]
fn key_share_x25519(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| kx_group::X25519.start().unwrap());
}

#[divan::bench]
fn key_share_x25519_mlkem768(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| kx_group::X25519MLKEM768.start().unwrap());
}

#[divan::bench]
fn handshake(bencher: Bencher<'_, '_>) {
    let [root, intermediate, leaf] = hierarchy();
    let server = server_config(certified(&[&leaf, &intermediate]), &[&TLS13]);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (client, roots) = (client(&root), Roots::default());
    bencher.bench_local(|| {
        runtime.block_on(async {
            let (here, there) = tokio::io::duplex(1 << 16);
            let accepted = tokio::spawn(acceptor.accept(there));
            let deadline = Deadline::after(Instant::now(), Duration::from_secs(5));
            let prepared = client.prepare(&roots, never()).await.unwrap();
            let session = prepared
                .handshake(here, "v4.test", Alpn::Http2, deadline)
                .await
                .unwrap();
            accepted.await.unwrap().unwrap();
            session
        })
    });
}
