//! The compiled `grpc` section.

use super::Problems;
use crate::config;

/// A grpc module, ready to run.
#[derive(Debug)]
pub struct Grpc {}

impl Grpc {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(_raw: &config::Grpc, _problems: &mut Problems) -> Self {
        Self {}
    }
}
