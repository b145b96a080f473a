//! The first frame of a server: its settings (RFC 9113, section 3.4). grpc-go asks nothing before they came, and takes
//! nothing else for a beginning.

use std::io;

use tokio::sync::oneshot;

use crate::net::tap::Listener;

/// Octets of a frame's head: its length, its kind, flags and stream.
const HEAD: usize = 9;

/// The kind of a frame of settings.
const SETTINGS: u8 = 4;

/// Tells when the server's settings have come, and fails when something else comes first.
pub struct Preface {
    head: Vec<u8>,
    /// Octets that came so far.
    seen: usize,
    /// Gone when the settings have come.
    arrived: Option<oneshot::Sender<()>>,
}

impl Preface {
    /// What is returned besides resolves when the settings have come, with an error when they never will.
    pub fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let preface = Self {
            head: Vec::with_capacity(HEAD),
            seen: 0,
            arrived: Some(sender),
        };
        (preface, receiver)
    }
}

impl Listener for Preface {
    fn heard(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.arrived.is_none() {
            return Ok(());
        }
        let missing = HEAD - self.head.len();
        self.head
            .extend_from_slice(octets.get(..missing).unwrap_or(octets));
        self.seen += octets.len();
        if self.head.get(3).is_some_and(|kind| *kind != SETTINGS) {
            let reason = "initial http2 frame from server is not a settings frame";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        if let Some(&[a, b, c, ..]) = self.head.first_chunk::<HEAD>() {
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            if self.seen >= HEAD + length
                && let Some(arrived) = self.arrived.take()
            {
                // Nobody waits any more when the probe's time is over.
                let _ = arrived.send(());
            }
        }
        Ok(())
    }
}
