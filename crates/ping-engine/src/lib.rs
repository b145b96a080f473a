//! ICMP echo for many pings at once, each under an identifier of its own, over sockets that the [`Engine`] keeps ([`engine`]). Each socket has
//! one task that reads it and hands answers to those who wait ([`lane`]) under their sequence numbers ([`slots`]). What the kernel is
//! asked for stands in [`socket`], the messages themselves in [`packet`].

pub mod cmsg;
mod engine;
mod lane;
mod moment;
mod packet;
mod slots;
mod socket;
mod wire;

pub use engine::{Engine, Ping, PingCounters, PrepareError};
pub use moment::Moment;
pub use packet::{AddressFamily, Report};
pub use slots::PingOutcome;
pub use socket::{Interface, OpenError, Privilege, Shape};
