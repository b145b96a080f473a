#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod buffer;
pub mod cookies;
mod first_byte;
pub mod gzip_head;
pub mod headers;
pub mod http1;
pub mod http2;
pub mod http3;
pub mod inflate;
pub mod memory;
pub mod no_proxy;
pub mod tunnel;
pub mod websocket;

pub use first_byte::FirstByte;
