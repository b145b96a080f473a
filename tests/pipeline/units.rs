//! The unit of a metric, from its name.

/// The unit of a metric's values, or nothing for a name that no rule covers.
pub fn unit(name: &str) -> Option<&'static str> {
    const TRUTHS: [&str; 14] = [
        "_available",
        "_healthcheck_response",
        "_incomplete",
        "_bit_set",
        "_revoked",
        "_signed",
        "_ssl",
        "_stale",
        "_stapled",
        "_succeeded",
        "_success",
        "_truncated",
        "_upgraded",
        "_valid",
    ];
    const NUMBERS: [&str; 16] = [
        "_attempts",
        "_count",
        "_duplicates",
        "_fds",
        "_files",
        "_hop_limit",
        "_in_flight",
        "_redirects",
        "_retries",
        "_rrs",
        "_scts",
        "_serial",
        "_sockets",
        "_total",
        "_tried",
        "_version",
    ];
    let is = |suffix: &str| name.ends_with(suffix);
    Some(match name {
        _ if name.contains("_failed_due_to_") || name.contains("_dns_flag_") => "0 or 1",
        _ if is("_last_reload_successful") || TRUTHS.iter().copied().any(is) => "0 or 1",
        _ if is("_timestamp_seconds") || is("_start_time_seconds") => "seconds since 1970",
        _ if is("_cert_expiry") || is("_cert_not_after") || is("_cert_not_before") => "seconds since 1970",
        _ if is("_seconds") || is("_seconds_total") => "seconds",
        _ if is("_bytes") || is("_bytes_total") || is("_length") => "bytes",
        _ if is("_ratio") => "0 to 1",
        _ if is("_info") => "always 1",
        _ if is("_hash") => "hash",
        _ if is("_status_code") || is("_rcode") || is("_ocsp_status") => "code",
        _ if is("_ip_protocol") => "4 or 6",
        _ if NUMBERS.iter().copied().any(is) => "number",
        _ => return None,
    })
}

#[test]
fn units_follow_from_suffixes() {
    for (name, expected) in [
        ("probe_success", "0 or 1"),
        ("probe_failed_due_to_bytes", "0 or 1"),
        ("probe_timeout_seconds", "seconds"),
        ("probe_http_last_modified_timestamp_seconds", "seconds since 1970"),
        ("process_start_time_seconds", "seconds since 1970"),
        ("probe_ssl_earliest_cert_expiry", "seconds since 1970"),
        ("process_cpu_seconds_total", "seconds"),
        ("process_network_receive_bytes_total", "bytes"),
        ("probe_http_content_length", "bytes"),
        ("probe_icmp_packet_loss_ratio", "0 to 1"),
        ("blackbox_exporter_probes_total", "number"),
        ("probe_tls_version_info", "always 1"),
        ("probe_http_version", "number"),
    ] {
        assert_eq!(unit(name), Some(expected), "{name}");
    }
    assert_eq!(unit("probe_something_else"), None);
}
