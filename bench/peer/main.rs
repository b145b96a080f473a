//! The moving parts of the side-by-side benchmark that no off-the-shelf program offers; `bench/run.py` drives it.
//!
//! ```text
//! bench-peer serve GRPC_PORT HANG_PORT      a gRPC health server, and a port that accepts and stays silent
//! bench-peer kinds FOLDER                   a target of each kind; prints them, then `ready`
//! bench-peer flood ADDRESS PATH COUNT       opens COUNT requests, says `ready`, and holds them until stdin ends
//! bench-peer watch ADDRESS PATH COUNT       COUNT requests one after the other; prints their latencies in seconds
//! bench-peer pace ADDRESS PATH RATE SECONDS RATE requests per second; prints how many
//! bench-peer floor http|https|tcp ADDRESS CONNECTIONS SECONDS [RATE]
//!                                           the bare connect-ask-close loop, as often as it can or RATE times per second
//! bench-peer least http|https|tcp ADDRESS PORT    the same for each request that comes to PORT, answered with 1.5 KiB: the
//!                                           least that something which is scraped has to do
//! bench-peer truth http|icmp EXPORTER RATE SECONDS
//!                                           probes of targets that take 5, 20 and 50 ms: errors of the phases, as JSON
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark's tool may fail loudly"
)]

mod floor;
mod kinds;
mod pace;
mod scrape;
mod serve;
mod truth;

use floor::Asking;
use pace::{PACED, Pace};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut builder = match words.as_slice() {
        // As the exporter's.
        ["least", ..] => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    // Each target that waits is a thread.
    builder.max_blocking_threads(8192);
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(run(&words));
    // A target may wait for what never comes.
    runtime.shutdown_background();
}

async fn run(words: &[&str]) {
    match words {
        ["serve", grpc, hang] => serve::serve(grpc.parse().unwrap(), hang.parse().unwrap()).await,
        ["kinds", folder] => kinds::kinds(folder.as_ref()).await,
        ["flood", address, path, count] => {
            scrape::flood(address.parse().unwrap(), path, count.parse().unwrap()).await
        }
        ["watch", address, path, count] => {
            scrape::watch(address.parse().unwrap(), path, count.parse().unwrap()).await
        }
        ["pace", address, path, rate, seconds] => {
            let pace = Pace::new(PACED, Some(rate.parse().unwrap()), seconds.parse().unwrap());
            scrape::paced(address.parse().unwrap(), path, pace).await;
        }
        ["floor", kind, address, connections, seconds, rate @ ..] => {
            let rate = rate.first().map(|rate| rate.parse().unwrap());
            let pace = Pace::new(connections.parse().unwrap(), rate, seconds.parse().unwrap());
            floor::floor(Asking::named(kind), address.parse().unwrap(), pace).await;
        }
        ["least", kind, address, port] => {
            floor::least(
                Asking::named(kind),
                address.parse().unwrap(),
                port.parse().unwrap(),
            )
            .await
        }
        ["truth", kind, exporter, rate, seconds] => {
            let (rate, seconds) = (rate.parse().unwrap(), seconds.parse().unwrap());
            truth::truth(*kind == "icmp", exporter.parse().unwrap(), rate, seconds).await;
        }
        _ => panic!("usage: see the top of bench/peer/main.rs"),
    }
}
