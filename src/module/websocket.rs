//! The compiled `websocket` section.

use super::Problems;
use crate::config;

/// A websocket module, ready to run.
#[derive(Debug)]
pub struct Websocket {}

impl Websocket {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(_raw: &config::Websocket, _problems: &mut Problems) -> Self {
        Self {}
    }
}
