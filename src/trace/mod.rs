//! The probe as the first span of a trace: the context that a module's `trace` section sends along, and the spans and logs that
//! are exported.
//!
//! Nothing here runs for a module without that section, or without an endpoint in the flags.

mod context;
mod headers;
mod settings;

pub use context::{Context, Incoming, SpanId, TraceId};
pub use settings::{Endpoint, Export, Link};

use http::HeaderMap;
use smallvec::SmallVec;

use crate::config::TraceHeader;
use crate::module::Module;

/// What a running probe sends of its trace.
#[derive(Debug)]
pub struct Tracing<'a> {
    /// Its part in the trace.
    pub context: Context,
    headers: &'a [TraceHeader],
    module: &'a str,
}

impl<'a> Tracing<'a> {
    /// The trace of a probe that begins, below that of its scrape, which has these headers; `None` if the module has none. Boxed: few
    /// modules do.
    pub fn begin(module: &'a Module, scrape: &HeaderMap) -> Option<Box<Self>> {
        let config = module.raw.trace.as_ref()?;
        Some(Box::new(Self {
            context: Context::begin(config, Incoming::of(scrape)),
            headers: &config.headers,
            module: &module.name,
        }))
    }

    /// Names, in lower case, and values of the headers that a hop, counted from 0, sends to `peer`.
    pub fn headers(&self, hop: usize, peer: &str) -> SmallVec<[(&'static str, String); 2]> {
        let span = self.context.hop(hop);
        headers::headers(&self.context, self.headers, span, self.module, peer)
    }
}
