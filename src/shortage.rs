//! Running out of things: open files, ports, memory. Probes fail with the system's word for it; here it is counted, so that the
//! exporter can say it once per minute instead of once per probe.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// What there was none left of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Resource {
    Files,
    Ports,
    Memory,
}

impl Resource {
    /// All of them, sorted by name.
    pub const ALL: [Self; 3] = [Self::Files, Self::Memory, Self::Ports];

    /// Its name in `/metrics` and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Ports => "ports",
            Self::Memory => "memory",
        }
    }

    /// What helps.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Files => {
                "raise the limit of open files (ulimit -n, LimitNOFILE=, fs.file-max), or lower --probe.max-in-flight"
            }
            Self::Ports => "widen net.ipv4.ip_local_port_range, or spread probes over more exporters",
            Self::Memory => "give the exporter more memory, or lower --probe.max-in-flight",
        }
    }

    /// What the failure of a call on a socket means, if that.
    pub fn of(call: &str, error: &io::Error) -> Option<Self> {
        match (error.raw_os_error()?, call) {
            (libc::EMFILE | libc::ENFILE, _) => Some(Self::Files),
            (libc::ENOMEM | libc::ENOBUFS, _) => Some(Self::Memory),
            // When connecting over TCP (see `DialCause::NoSource`); when binding, it means that the address is not ours.
            (libc::EADDRNOTAVAIL, "connect") | (libc::EADDRINUSE, _) => Some(Self::Ports),
            _ => None,
        }
    }
}

/// How often there was nothing left.
#[derive(Debug, Default)]
pub struct Shortages {
    files: AtomicU64,
    ports: AtomicU64,
    memory: AtomicU64,
    /// All of them when they were last asked for.
    told: AtomicU64,
}

impl Shortages {
    /// Counts an error if it is about a shortage.
    pub fn note(&self, call: &str, error: &io::Error) {
        if let Some(resource) = Resource::of(call, error) {
            self.counter(resource).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often this was missing so far.
    pub fn count(&self, resource: Resource) -> u64 {
        self.counter(resource).load(Ordering::Relaxed)
    }

    /// Whether anything was missing since [`Shortages::tell`] was called.
    pub fn is_news(&self) -> bool {
        self.total() != self.told.load(Ordering::Relaxed)
    }

    /// What was missing so far, and how often; it is no news any more.
    pub fn tell(&self) -> Vec<(Resource, u64)> {
        self.told.store(self.total(), Ordering::Relaxed);
        let counts = Resource::ALL.map(|resource| (resource, self.count(resource)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    fn total(&self) -> u64 {
        Resource::ALL.map(|resource| self.count(resource)).iter().sum()
    }

    fn counter(&self, resource: Resource) -> &AtomicU64 {
        match resource {
            Resource::Files => &self.files,
            Resource::Ports => &self.ports,
            Resource::Memory => &self.memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortages_are_told_apart() {
        let rows = [
            ("socket", libc::EMFILE, Some(Resource::Files)),
            ("socket", libc::ENFILE, Some(Resource::Files)),
            ("connect", libc::EADDRNOTAVAIL, Some(Resource::Ports)),
            ("bind", libc::EADDRNOTAVAIL, None),
            ("bind", libc::EADDRINUSE, Some(Resource::Ports)),
            ("connect", libc::ENOBUFS, Some(Resource::Memory)),
            ("connect", libc::ECONNREFUSED, None),
        ];
        let shortages = Shortages::default();
        for (call, code, want) in rows {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(Resource::of(call, &error), want, "{call} {error}");
            shortages.note(call, &error);
        }
        assert!(shortages.is_news());
        assert_eq!(
            shortages.tell(),
            [(Resource::Files, 2), (Resource::Memory, 1), (Resource::Ports, 2)]
        );
        assert!(!shortages.is_news());
    }
}
