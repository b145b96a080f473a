//! Every family that the exporter has about itself: its name, help text and kind stand here and nowhere else.
//!
//! Names and help texts of upstream's families are upstream's, to the letter.

use super::Kind;

/// From when on a family is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// From the start.
    Always,
    /// From the first probe on.
    // compat: families of our own, so that a fresh exporter shows what upstream shows.
    OnceProbed,
}

/// A family as it is exposed.
#[derive(Debug)]
pub struct Family {
    /// Metric name; that of a counter ends in `_total`.
    pub name: &'static str,
    /// Text of the `# HELP` line.
    pub help: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// From when on it is shown.
    pub shown: Shown,
}

macro_rules! catalog {
    ($($id:ident = $shown:ident $kind:ident $name:literal, $help:literal;)*) => {
        /// A family of the exporter's own. The order of the variants is the order of the names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Own { $(#[doc = $name] $id),* }

        impl Own {
            /// Every family, sorted by name.
            pub const ALL: &'static [Own] = &[$(Own::$id),*];

            /// What stands in the exposition for this family.
            pub fn family(self) -> &'static Family {
                match self {
                    $(Own::$id => {
                        const FAMILY: Family = Family { name: $name, help: $help, kind: Kind::$kind, shown: Shown::$shown };
                        &FAMILY
                    })*
                }
            }
        }
    };
}

catalog! {
    BuildInfo = Always Gauge "blackbox_exporter_build_info", "A metric with a constant '1' value labeled by version, revision, branch, goversion from which blackbox_exporter was built, and the goos and goarch for the build.";
    BrokenFiles = OnceProbed Gauge "blackbox_exporter_config_broken_files", "Configuration files skipped because of --config.skip-broken-files.";
    ReloadedAt = Always Gauge "blackbox_exporter_config_last_reload_success_timestamp_seconds", "Timestamp of the last successful configuration reload.";
    ReloadSuccessful = Always Gauge "blackbox_exporter_config_last_reload_successful", "Blackbox exporter config loaded successfully.";
    IcmpDrops = OnceProbed Counter "blackbox_exporter_icmp_drops_total", "Packets that the kernel dropped because they were read too slowly.";
    IcmpInFlight = OnceProbed Gauge "blackbox_exporter_icmp_in_flight", "Pings waiting for their reply.";
    IcmpRequests = OnceProbed Counter "blackbox_exporter_icmp_requests_total", "Echo requests sent.";
    IcmpResults = OnceProbed Counter "blackbox_exporter_icmp_results_total", "Results of echo requests: reply, ICMP error or timeout. Unexpected replies were late, duplicate or unsolicited.";
    IcmpSockets = OnceProbed Gauge "blackbox_exporter_icmp_sockets", "Sockets shared by pings.";
    LogLinesDropped = OnceProbed Counter "blackbox_exporter_log_lines_dropped_total", "Log lines dropped because stderr was slow, full or closed.";
    MemoryLimit = OnceProbed Gauge "blackbox_exporter_memory_limit_bytes", "Maximum memory of this process: --memory.limit, by default nine tenths of the limit of its cgroup.";
    MemoryRefused = OnceProbed Counter "blackbox_exporter_memory_refused_total", "Requests for memory refused because of the limit, by use.";
    MemoryUsed = OnceProbed Gauge "blackbox_exporter_memory_used_bytes", "Memory in use as the limit counts it: what the kernel cannot reclaim.";
    OutOfResources = OnceProbed Counter "blackbox_exporter_out_of_resources_total", "Probe failures caused by local resource exhaustion, by resource.";
    ParamsRefused = OnceProbed Counter "blackbox_exporter_params_refused_total", "Scrapes refused because of a parameter, by module and parameter.";
    ProbeDuration = OnceProbed Histogram "blackbox_exporter_probe_duration_seconds", "Duration of probes by prober.";
    ProbeFailures = OnceProbed Counter "blackbox_exporter_probe_failures_total", "Failed probes by module and reason; see docs/failures.md.";
    ProbeTimeouts = OnceProbed Counter "blackbox_exporter_probe_timeouts_total", "Probes that timed out, by module.";
    ProbesCancelled = OnceProbed Counter "blackbox_exporter_probes_cancelled_total", "Probes cancelled because the scraper closed its connection.";
    ProbesInFlight = OnceProbed Gauge "blackbox_exporter_probes_in_flight", "Probes running now.";
    ProbesRejected = OnceProbed Counter "blackbox_exporter_probes_rejected_total", "Probes refused because of --probe.max-in-flight.";
    Probes = OnceProbed Counter "blackbox_exporter_probes_total", "Probes by module, prober and result.";
    SpansDropped = OnceProbed Counter "blackbox_exporter_spans_dropped_total", "Spans not exported because the endpoint was slow, unreachable or rejected them. With --trace.endpoint.";
    TargetsRefused = OnceProbed Counter "blackbox_exporter_targets_refused_total", "Targets refused by the policy of the configuration.";
    TraceLogsDropped = OnceProbed Counter "blackbox_exporter_trace_logs_dropped_total", "Log records not exported because the endpoint was slow, unreachable or rejected them. With --trace.log-endpoint.";
    UnknownModules = Always Counter "blackbox_module_unknown_total", "Count of unknown modules requested by probes";
    ConnectionsAttempted = Always Counter "net_conntrack_dialer_conn_attempted_total", "Total number of connections attempted by the given dialer a given name.";
    ConnectionsClosed = Always Counter "net_conntrack_dialer_conn_closed_total", "Total number of connections closed which originated from the dialer of a given name.";
    ConnectionsEstablished = Always Counter "net_conntrack_dialer_conn_established_total", "Total number of connections successfully established by the given dialer a given name.";
    ConnectionsFailed = Always Counter "net_conntrack_dialer_conn_failed_total", "Total number of connections failed to dial by the dialer a given name.";
    CpuSeconds = Always Counter "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.";
    MaxFiles = Always Gauge "process_max_fds", "Maximum number of open file descriptors.";
    BytesReceived = Always Counter "process_network_receive_bytes_total", "Number of bytes received by the process over the network.";
    BytesSent = Always Counter "process_network_transmit_bytes_total", "Number of bytes sent by the process over the network.";
    OpenFiles = Always Gauge "process_open_fds", "Number of open file descriptors.";
    ResidentMemory = Always Gauge "process_resident_memory_bytes", "Resident memory size in bytes.";
    StartTime = Always Gauge "process_start_time_seconds", "Start time of the process since unix epoch in seconds.";
    VirtualMemory = Always Gauge "process_virtual_memory_bytes", "Virtual memory size in bytes.";
    VirtualMemoryMax = Always Gauge "process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.";
    ScrapesInFlight = Always Gauge "promhttp_metric_handler_requests_in_flight", "Current number of scrapes being served.";
    Scrapes = Always Counter "promhttp_metric_handler_requests_total", "Total number of scrapes by HTTP status code.";
}

impl Own {
    /// The family of that name; that of a counter may come without its `_total`.
    pub fn of_stem(stem: &str) -> Option<Self> {
        let is_stem = |own: &Self| {
            let rest = own.family().name.strip_prefix(stem);
            rest.is_some_and(|rest| matches!(rest, "" | "_total"))
        };
        // What begins with the stem stands together; there are few such.
        let first = Self::ALL.partition_point(|own| own.family().name < stem);
        let after = Self::ALL.get(first..).unwrap_or_default().iter().copied();
        after
            .take_while(|own| own.family().name.starts_with(stem))
            .find(is_stem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_stand_in_the_order_of_their_names() {
        let names: Vec<_> = Own::ALL.iter().map(|own| own.family().name).collect();
        assert!(names.is_sorted(), "{names:?}");
        for own in Own::ALL {
            let Family { name, kind, .. } = own.family();
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
        }
    }

    #[test]
    fn families_are_found_by_their_stems() {
        for own in Own::ALL {
            let name = own.family().name;
            assert_eq!(Own::of_stem(name), Some(*own));
            assert_eq!(
                Own::of_stem(name.strip_suffix("_total").unwrap_or(name)),
                Some(*own)
            );
        }
        assert_eq!(Own::of_stem("process_open"), None);
        assert_eq!(Own::of_stem("zzz"), None);
    }
}
