//! The http prober against scripted peers and real servers.

mod auth;
mod bodies;
pub mod http3;
mod misbehaving;
mod proxies;
mod real_servers;
mod redirects;
mod requests;
mod retries;
pub mod site;
mod verdicts;

/// A module of the http prober with these settings besides.
fn module(more: &str) -> String {
    format!(
        "prober: http\nhttp:\n  preferred_ip_protocol: ip4\n  {}",
        more.replace('\n', "\n  ")
    )
}
