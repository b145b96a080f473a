//! Every family that the exporter has about itself: its name, help text and kind stand here and nowhere else.
//!
//! Names and help texts of upstream's families are upstream's, to the letter.

use super::{Kind, Since};

/// From when on a family is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// From the start.
    Always,
    /// From the first probe on.
    // compat: families of our own that need no flag or setting of ours, so that a fresh exporter shows what upstream shows.
    OnceProbed,
}

/// A family as it is exposed.
#[derive(Debug)]
pub struct OwnFamily {
    /// Metric name; that of a counter ends in `_total`.
    pub name: &'static str,
    /// Text of the `# HELP` line.
    pub help: &'static str,
    /// Label names, sorted, without that of a histogram's buckets.
    pub labels: &'static [&'static str],
    /// Its kind.
    pub kind: Kind,
    /// From when on it is shown.
    pub shown: Shown,
    /// The version that brought it.
    pub since: Since,
}

macro_rules! catalog {
    ($($id:ident = $shown:ident $kind:ident $name:literal, $help:literal, [$($label:literal),*], $since:ident $version:literal;)*) => {
        /// A family of the exporter's own. The order of the variants is the order of the names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Own { $(#[doc = $name] $id),* }

        impl Own {
            /// Every family, sorted by name.
            pub const ALL: &'static [Own] = &[$(Own::$id),*];

            /// What stands in the exposition for this family.
            pub fn family(self) -> &'static OwnFamily {
                match self {
                    $(Own::$id => {
                        const FAMILY: OwnFamily = OwnFamily { name: $name, help: $help, labels: &[$($label),*], kind: Kind::$kind, shown: Shown::$shown, since: Since::$since($version) };
                        &FAMILY
                    })*
                }
            }
        }
    };
}

catalog! {
    BuildInfo = Always Gauge "blackbox_exporter_build_info", "A metric with a constant '1' value labeled by version, revision, branch, goversion from which blackbox_exporter was built, and the goos and goarch for the build.", ["branch", "goarch", "goos", "goversion", "revision", "tags", "version"], Upstream "0.2.0";
    BrokenFiles = Always Gauge "blackbox_exporter_config_broken_files", "Configuration files skipped because of --config.skip-broken-files; only with that flag.", [], Here "unreleased";
    ReloadedAt = Always Gauge "blackbox_exporter_config_last_reload_success_timestamp_seconds", "Timestamp of the last successful configuration reload.", [], Upstream "0.14.0";
    ReloadSuccessful = Always Gauge "blackbox_exporter_config_last_reload_successful", "Blackbox exporter config loaded successfully.", [], Upstream "0.14.0";
    IcmpDrops = OnceProbed Counter "blackbox_exporter_icmp_drops_total", "Packets that the kernel dropped because they were read too slowly.", [], Here "0.1.0";
    IcmpInFlight = OnceProbed Gauge "blackbox_exporter_icmp_in_flight", "Pings waiting for their reply.", [], Here "0.1.0";
    IcmpRequests = OnceProbed Counter "blackbox_exporter_icmp_requests_total", "Echo requests sent.", [], Here "0.1.0";
    IcmpResults = OnceProbed Counter "blackbox_exporter_icmp_results_total", "Results of echo requests: reply, ICMP error or timeout. Unexpected replies were late, duplicate or unsolicited.", ["result"], Here "0.1.0";
    IcmpSockets = OnceProbed Gauge "blackbox_exporter_icmp_sockets", "Sockets shared by pings.", [], Here "0.1.0";
    LogLinesDropped = OnceProbed Counter "blackbox_exporter_log_lines_dropped_total", "Log lines dropped because stderr was slow, full or closed.", [], Here "0.1.0";
    MemoryLimit = OnceProbed Gauge "blackbox_exporter_memory_limit_bytes", "Maximum memory of this process: --memory.limit, by default nine tenths of the limit of its cgroup.", [], Here "unreleased";
    MemoryRefused = OnceProbed Counter "blackbox_exporter_memory_refused_total", "Requests for memory refused because of the limit, by use.", ["use"], Here "unreleased";
    MemoryUsed = OnceProbed Gauge "blackbox_exporter_memory_used_bytes", "Memory in use as the limit counts it: what the kernel cannot reclaim.", [], Here "unreleased";
    OutOfResources = OnceProbed Counter "blackbox_exporter_out_of_resources_total", "Probe failures caused by local resource exhaustion, by resource.", ["resource"], Here "0.1.0";
    ParamsRefused = Always Counter "blackbox_exporter_params_refused_total", "Scrapes refused because of a parameter, by module and parameter.", ["module", "param"], Here "unreleased";
    ProbeDuration = OnceProbed Histogram "blackbox_exporter_probe_duration_seconds", "Duration of probes by prober.", ["prober"], Here "0.1.0";
    ProbeFailures = OnceProbed Counter "blackbox_exporter_probe_failures_total", "Failed probes by module and reason; see docs/failures.md.", ["module", "reason"], Here "unreleased";
    ProbeTimeouts = OnceProbed Counter "blackbox_exporter_probe_timeouts_total", "Probes that timed out, by module.", ["module", "prober"], Here "0.1.0";
    ProbesCancelled = OnceProbed Counter "blackbox_exporter_probes_cancelled_total", "Probes cancelled because the scraper closed its connection.", [], Here "0.1.0";
    ProbesInFlight = OnceProbed Gauge "blackbox_exporter_probes_in_flight", "Probes running now.", [], Here "0.1.0";
    ProbesRejected = OnceProbed Counter "blackbox_exporter_probes_rejected_total", "Probes refused because of --probe.max-in-flight.", [], Here "0.1.0";
    Probes = OnceProbed Counter "blackbox_exporter_probes_total", "Probes by module, prober and result.", ["module", "prober", "result"], Here "0.1.0";
    SpansDropped = OnceProbed Counter "blackbox_exporter_spans_dropped_total", "Spans not exported because the endpoint was slow, unreachable or rejected them. With --trace.endpoint.", [], Here "unreleased";
    TargetsRefused = OnceProbed Counter "blackbox_exporter_targets_refused_total", "Targets refused by the policy of the configuration.", [], Here "0.1.0";
    TraceLogsDropped = OnceProbed Counter "blackbox_exporter_trace_logs_dropped_total", "Log records not exported because the endpoint was slow, unreachable or rejected them. With --trace.log-endpoint.", [], Here "unreleased";
    UnknownModules = Always Counter "blackbox_module_unknown_total", "Count of unknown modules requested by probes", [], Upstream "0.19.0";
    ConnectionsAttempted = Always Counter "net_conntrack_dialer_conn_attempted_total", "Total number of connections attempted by the given dialer a given name.", ["dialer_name"], Upstream "0.15.0";
    ConnectionsClosed = Always Counter "net_conntrack_dialer_conn_closed_total", "Total number of connections closed which originated from the dialer of a given name.", ["dialer_name"], Upstream "0.15.0";
    ConnectionsEstablished = Always Counter "net_conntrack_dialer_conn_established_total", "Total number of connections successfully established by the given dialer a given name.", ["dialer_name"], Upstream "0.15.0";
    ConnectionsFailed = Always Counter "net_conntrack_dialer_conn_failed_total", "Total number of connections failed to dial by the dialer a given name.", ["dialer_name", "reason"], Upstream "0.15.0";
    CpuSeconds = Always Counter "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", [], Upstream "0.1.0";
    MaxFiles = Always Gauge "process_max_fds", "Maximum number of open file descriptors.", [], Upstream "0.1.0";
    BytesReceived = Always Counter "process_network_receive_bytes_total", "Number of bytes received by the process over the network.", [], Upstream "0.26.0";
    BytesSent = Always Counter "process_network_transmit_bytes_total", "Number of bytes sent by the process over the network.", [], Upstream "0.26.0";
    OpenFiles = Always Gauge "process_open_fds", "Number of open file descriptors.", [], Upstream "0.1.0";
    ResidentMemory = Always Gauge "process_resident_memory_bytes", "Resident memory size in bytes.", [], Upstream "0.1.0";
    StartTime = Always Gauge "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", [], Upstream "0.1.0";
    VirtualMemory = Always Gauge "process_virtual_memory_bytes", "Virtual memory size in bytes.", [], Upstream "0.1.0";
    VirtualMemoryMax = Always Gauge "process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.", [], Upstream "0.13.0";
    ScrapesInFlight = Always Gauge "promhttp_metric_handler_requests_in_flight", "Current number of scrapes being served.", [], Upstream "0.13.0";
    Scrapes = Always Counter "promhttp_metric_handler_requests_total", "Total number of scrapes by HTTP status code.", ["code"], Upstream "0.13.0";
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
            let OwnFamily { name, kind, .. } = own.family();
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
