//! The integration tests: one binary, a file a prober, real sockets on port 0.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::type_complexity,
    reason = "tests may fail loudly: that is what they are for; a table of rows has the type that its rows need"
)]

#[allow(dead_code, reason = "each helper is there for the tests that come to need it")]
mod support;

mod addresses;
mod advice;
mod attempts;
mod certificates;
mod check_config;
mod clock;
mod command_line;
mod config;
mod config_files;
mod conformance;
mod dialogue;
mod dns;
mod dns_ways;
mod doctor;
mod extensions;
mod facts;
mod first_use;
mod grpc;
mod hostile;
mod http;
mod hung;
mod icmp;
mod interim;
mod judging;
mod late;
mod limits;
mod linger;
mod memory;
mod migrate;
mod odd_records;
mod params;
mod path;
mod policy;
mod presets;
mod probe_command;
mod prompts;
mod properties;
mod reasons;
mod recipes;
mod records;
mod references;
mod resolve;
mod revocation;
mod schema;
mod secrets;
mod server;
mod servers;
mod socks;
mod starttls;
mod tls;
mod trace;
mod vantage;
mod websocket;
