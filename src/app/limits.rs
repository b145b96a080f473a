//! Limits that the system and the flags set: memory, open files, connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::Flags;
use crate::logging::Logger;
use crate::memory;
use crate::probe_log::text;
use crate::say;

/// Sets the budget of memory, and says which it is.
pub fn limit_memory(given: Option<u64>, logger: &Logger) {
    let Some(limit) = memory::find(given) else {
        return;
    };
    let bytes = limit.bytes;
    memory::limit_to(limit);
    let used = memory::used().unwrap_or_default();
    say!(logger, Debug, "Memory is limited", "limit_bytes" => text(bytes), "used_bytes" => text(used));
    if memory::is_too_low() {
        say!(
            logger,
            Warn,
            "The memory limit leaves too little for probes, see --memory.limit",
            "limit_bytes" => text(bytes),
            "used_bytes" => text(used),
        );
    }
}

/// As many open files as the system lets us have: every connection and every probe needs some.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Refused, the limit stays as it was.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Half of the files that the exporter has open besides connections and probes, at most.
const OWN_FILES: usize = 24;

/// `--web.max-connections`, or half of the open files, so that the other half is left for probes, but for some that the exporter needs
/// itself.
pub fn max_connections(flags: &Flags) -> usize {
    if flags.max_connections > 0 {
        return flags.max_connections;
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let half = usize::try_from(files / 2).unwrap_or(usize::MAX);
    half - OWN_FILES.min(half / 8)
}
