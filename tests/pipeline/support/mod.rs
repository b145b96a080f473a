//! What the pipeline tests share: the programs, the web server they probe and the receiver they write to.

mod http;
mod ingester;
mod process;
mod programs;
mod tls;
mod web;

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

pub use http::{get, get_as, page};
pub use ingester::Ingester;
pub use process::Program;
pub use programs::{Exporter, Prometheus, Sample, find_program, may_ping, python_has, reference_exporter};
pub use tls::TlsServer;
pub use web::{NextPort, WebServer};

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the repository.
pub fn read(path: &str) -> String {
    let path = repository(path);
    std::fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// Replaces what must be there, so that a changed example cannot slip past its test.
pub fn replace(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example no longer has {from:?}:\n{text}");
    text.replace(from, to)
}

/// Asks again until there is an answer; scrapes and remote writes come when they come.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) if Instant::now() > end => panic!("timed out waiting for {what}; last: {last}"),
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}
