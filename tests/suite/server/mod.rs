//! The server around the probers, as its callers see it.

mod browsers;
mod drain;
mod endpoints;
mod events;
mod history;
mod hostile;
mod metrics;
mod pages;
mod playground;
mod reload;
mod threads;
mod web;
mod web_files;

/// Modules whose probes need no peer: they fail at once.
const MODULES: &str = "modules:
  tcp_plain: {prober: tcp, timeout: 2s, tcp: {preferred_ip_protocol: ip4}}
  tcp_free: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
  http_2xx: {prober: http, timeout: 2s, http: {preferred_ip_protocol: ip4}}
  with_host: {prober: http, http: {headers: {host: a.test}}}
";

/// Nobody listens there.
const REFUSED: &str = "127.0.0.1:1";

/// A peer that accepts connections and never says a word.
async fn silent() -> (tokio::net::TcpListener, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}
