//! The sections of the probers, one file per prober, and the settings that some of them share.

pub(crate) mod dns;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod icmp;
pub(crate) mod query_response;
pub(crate) mod repeat;
pub(crate) mod starttls;
pub(crate) mod status;
pub(crate) mod tcp;
pub(crate) mod unix;
pub(crate) mod websocket;
