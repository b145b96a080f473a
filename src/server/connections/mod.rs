//! Connections of callers: who may be connected, how long each thing may take, and what Go's server reads otherwise than hyper.

pub mod listen;

mod alarm;
pub(super) mod guard;
pub(super) mod heads;
mod held;
pub(super) mod http1;
pub(super) mod leaving;
pub(super) mod outgoing;
pub(super) mod request_line;
pub(super) mod requests;
pub(super) mod seats;
pub(super) mod shares;
pub mod threads;
pub(super) mod unread;
