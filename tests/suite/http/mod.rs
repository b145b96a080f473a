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
