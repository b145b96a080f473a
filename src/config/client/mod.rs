//! What connections of several probers have in common: TLS, proxies, credentials.

pub(crate) mod http_client;
pub(crate) mod socks;
pub(crate) mod tls;
pub(crate) mod url;
