//! Every metric of every prober: its name, help text and labels stand here and nowhere else.
//!
//! Names and help texts are upstream's, to the letter: dashboards, alerts and recordings depend on them.

use super::Since;
use crate::config::Prober::{self, Dns, Grpc, Http, Icmp, Tcp, Unix, Websocket};

/// A family as it is exposed. All are gauges.
#[derive(Debug)]
pub struct Family {
    /// Metric name.
    pub name: &'static str,
    /// Text of the `# HELP` line.
    pub help: &'static str,
    /// The lines `# HELP` and `# TYPE`, and the name of the first series.
    pub lines: &'static str,
    /// Label names, sorted; empty for a plain gauge and for `probe_expect_info`, whose labels the module chooses.
    pub labels: &'static [&'static str],
    /// The probers that emit it; empty means all.
    pub probers: &'static [Prober],
    /// The version that brought it.
    pub since: Since,
}

macro_rules! catalog {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $help:literal, [$($label:literal),*], [$($prober:ident),*], $since:ident $version:literal;)*) => {
        /// A metric family. The order of the variants is the order of the names, so sorting by variant sorts by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $(#[doc = $name] $id),* }

        impl Metric {
            /// Every family, sorted by name.
            pub const ALL: &'static [Metric] = &[$(Metric::$id),*];

            /// What stands in the exposition for this metric.
            pub fn family(self) -> &'static Family {
                match self {
                    $(Metric::$id => {
                        const FAMILY: Family = Family { name: $name, help: $help, lines: exposition::gauge_lines!($name, $help), labels: &[$($label),*], probers: &[$($prober),*], since: Since::$since($version) };
                        &FAMILY
                    })*
                }
            }
        }
    };
}

catalog! {
    AddressSuccess = "probe_address_success", "Whether the probe of this address succeeded (addresses: all)", ["ip"], [Icmp, Tcp], Here "unreleased";
    AddressesTried = "probe_addresses_tried", "Addresses of the target that were dialled (addresses: any)", [], [], Here "unreleased";
    Attempts = "probe_attempts", "How often the probe was made until it succeeded or was given up (attempts)", [], [], Here "unreleased";
    DnsAdBitSet = "probe_dns_ad_bit_set", "Displays whether or not the AD (Authenticated Data) bit is set in the response", [], [Dns], Here "unreleased";
    DnsAdditionalRrs = "probe_dns_additional_rrs", "Returns number of entries in the additional resource record list", [], [Dns], Upstream "0.2.0";
    DnsAnswerHash = "probe_dns_answer_hash", "Hash of the records of the answer section without their TTL and order, and without signatures", [], [Dns], Here "unreleased";
    DnsAnswerMinTtl = "probe_dns_answer_min_ttl_seconds", "The lowest TTL in the answer section", [], [Dns], Here "unreleased";
    DnsAnswerRrs = "probe_dns_answer_rrs", "Returns number of entries in the answer resource record list", [], [Dns], Upstream "0.2.0";
    DnsAuthorityRrs = "probe_dns_authority_rrs", "Returns number of entries in the authority resource record list", [], [Dns], Upstream "0.2.0";
    DnsDnssecSigned = "probe_dns_dnssec_signed", "Whether all records of the answer section, or of the denial, have signatures", [], [Dns], Here "unreleased";
    DnsDuration = "probe_dns_duration_seconds", "Duration of DNS request by phase", ["phase"], [Dns], Upstream "0.18.0";
    DnsFlagAa = "probe_dns_flag_aa", "Whether the response has the AA flag: the server is authoritative", [], [Dns], Here "unreleased";
    DnsFlagAd = "probe_dns_flag_ad", "Whether the response has the AD flag: the server has verified the records", [], [Dns], Here "unreleased";
    DnsFlagDo = "probe_dns_flag_do", "Whether the response has the DO flag: the server supports DNSSEC", [], [Dns], Here "unreleased";
    DnsFlagRa = "probe_dns_flag_ra", "Whether the response has the RA flag: the server offers recursion", [], [Dns], Here "unreleased";
    DnsFlagTc = "probe_dns_flag_tc", "Whether the response has the TC flag: the response was truncated", [], [Dns], Here "unreleased";
    DnsLookupTime = "probe_dns_lookup_time_seconds", "Returns the time taken for probe dns lookup in seconds", [], [], Upstream "0.5.0";
    DnsQuerySucceeded = "probe_dns_query_succeeded", "Displays whether or not the query was executed successfully", [], [Dns], Upstream "0.23.0";
    DnsRcode = "probe_dns_rcode", "Response code, including the EDNS bits", [], [Dns], Here "unreleased";
    DnsReplyTruncated = "probe_dns_reply_truncated", "Whether the first response was truncated, even if the query was repeated over TCP", [], [Dns], Here "unreleased";
    DnsRetries = "probe_dns_retries", "How often the query was repeated", [], [Dns], Here "unreleased";
    DnsRrsigEarliestExpiration = "probe_dns_rrsig_earliest_expiration_timestamp_seconds", "Returns the earliest expiration timestamp of all RRSIG records in the response", [], [Dns], Here "unreleased";
    DnsRrsigLatestInception = "probe_dns_rrsig_latest_inception_timestamp_seconds", "Returns the latest inception timestamp of all RRSIG records in the response", [], [Dns], Here "unreleased";
    DnsRrsigValid = "probe_dns_rrsig_valid", "Displays whether or not all RRSIG records in the response are valid at the time of the probe", [], [Dns], Here "unreleased";
    DnsSerial = "probe_dns_serial", "Returns the serial number of the zone", [], [Dns], Upstream "0.13.0";
    Duration = "probe_duration_seconds", "Returns how long the probe took to complete in seconds", [], [], Upstream "0.1.0";
    ExpectInfo = "probe_expect_info", "Explicit content matched", [], [Tcp, Unix], Upstream "0.26.0";
    FailedDueToBytes = "probe_failed_due_to_bytes", "Indicates if probe failed due to bytes", [], [Tcp, Unix], Upstream "0.28.0";
    FailedDueToCel = "probe_failed_due_to_cel", "Indicates if probe failed due to CEL expression not matching", [], [Http], Upstream "0.27.0";
    FailedDueToRegex = "probe_failed_due_to_regex", "Indicates if probe failed due to regex", [], [Http, Tcp, Unix], Upstream "0.7.0";
    FailureInfo = "probe_failure_info", "Why the probe failed, in which phase and at which step (exposition: failure_reason)", ["phase", "reason", "step"], [], Here "unreleased";
    FirstAttemptSuccess = "probe_first_attempt_success", "Whether the first attempt succeeded (attempts)", [], [], Here "unreleased";
    GrpcDuration = "probe_grpc_duration_seconds", "Duration of gRPC request by phase", ["phase"], [Grpc], Upstream "0.20.0";
    GrpcHealthcheckResponse = "probe_grpc_healthcheck_response", "Response HealthCheck response", ["serving_status"], [Grpc], Upstream "0.20.0";
    GrpcSsl = "probe_grpc_ssl", "Indicates if SSL was used for the connection", [], [Grpc], Upstream "0.20.0";
    GrpcStatusCode = "probe_grpc_status_code", "Response gRPC status code", [], [Grpc], Upstream "0.20.0";
    HttpContentLength = "probe_http_content_length", "Length of http content response", [], [Http], Upstream "0.1.0";
    HttpDuration = "probe_http_duration_seconds", "Duration of http request by phase, summed over all redirects", ["phase"], [Http], Upstream "0.11.0";
    HttpLastModified = "probe_http_last_modified_timestamp_seconds", "Returns the Last-Modified HTTP response header in unixtime", [], [Http], Upstream "0.14.0";
    HttpRedirects = "probe_http_redirects", "The number of redirects", [], [Http], Upstream "0.1.0";
    HttpSsl = "probe_http_ssl", "Indicates if SSL was used for the final redirect", [], [Http], Upstream "0.1.0";
    HttpStatusCode = "probe_http_status_code", "Response HTTP status code", [], [Http], Upstream "0.1.0";
    HttpUncompressedBodyLength = "probe_http_uncompressed_body_length", "Length of uncompressed response body", [], [Http], Upstream "0.16.0";
    HttpVersion = "probe_http_version", "Returns the version of HTTP of the probe response", [], [Http], Upstream "0.7.0";
    IcmpDuplicates = "probe_icmp_duplicates", "Further replies to the same request", [], [Icmp], Here "unreleased";
    IcmpRttJitter = "probe_icmp_duration_rtt_jitter_seconds", "Mean difference between the round-trip times of consecutive packets", [], [Icmp], Here "unreleased";
    IcmpRttMax = "probe_icmp_duration_rtt_max_seconds", "Maximum duration of round trip", [], [Icmp], Here "unreleased";
    IcmpRttMin = "probe_icmp_duration_rtt_min_seconds", "Minimum duration of round trip", [], [Icmp], Here "unreleased";
    IcmpRttStddev = "probe_icmp_duration_rtt_stddev_seconds", "Standard deviation of round trip duration", [], [Icmp], Here "unreleased";
    IcmpDuration = "probe_icmp_duration_seconds", "Duration of icmp request by phase", ["phase"], [Icmp], Upstream "0.13.0";
    IcmpPacketLoss = "probe_icmp_packet_loss_ratio", "Share of the packets sent without a reply", [], [Icmp], Here "unreleased";
    IcmpPacketsReceived = "probe_icmp_packets_received_count", "Number of packets received", [], [Icmp], Here "unreleased";
    IcmpPacketsSent = "probe_icmp_packets_sent_count", "Number of packets sent", [], [Icmp], Here "unreleased";
    IcmpReplyHopLimit = "probe_icmp_reply_hop_limit", "Replied packet hop limit (TTL for ipv4)", [], [Icmp], Upstream "0.18.0";
    IpAddrHash = "probe_ip_addr_hash", "Specifies the hash of IP address. It's useful to detect if the IP address changes.", [], [], Upstream "0.17.0";
    IpInfo = "probe_ip_info", "The IP address that was probed (exposition: resolved_address)", ["ip", "ip_protocol"], [], Here "unreleased";
    IpProtocol = "probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6", [], [], Upstream "0.3.0";
    SslCertInfo = "probe_ssl_cert_info", "Key and signature of a certificate that was presented", ["chain_pos", "issuer", "key_algorithm", "key_bits", "serialnumber", "signature_algorithm", "subject"], [Http, Tcp, Unix, Grpc, Websocket, Dns], Here "unreleased";
    SslCertNotAfter = "probe_ssl_cert_not_after", "End of the validity of a certificate that was presented, as a Unix timestamp in seconds", ["chain_pos", "issuer", "serialnumber", "subject"], [Http, Tcp, Unix, Grpc, Websocket, Dns], Here "unreleased";
    SslCertNotBefore = "probe_ssl_cert_not_before", "Start of the validity of a certificate that was presented, as a Unix timestamp in seconds", ["chain_pos", "issuer", "serialnumber", "subject"], [Http, Tcp, Unix, Grpc, Websocket, Dns], Here "unreleased";
    SslChainIncomplete = "probe_ssl_chain_incomplete", "Whether a server left out a certificate between its own and a root (0/1)", [], [Http, Tcp, Unix, Grpc, Websocket, Dns], Here "unreleased";
    SslCrlAvailable = "probe_ssl_crl_available", "Whether the cert has CRL distribution points and the CRL was fetchable (0/1)", ["chain_pos", "crl_url", "fingerprint_sha256", "issuer", "serialnumber", "subject", "subjectalternative"], [Http, Tcp, Unix, Grpc], Upstream "0.29.0";
    SslCrlFetchTime = "probe_ssl_crl_fetch_time_seconds", "Total time spent fetching CRLs in seconds", [], [Http, Tcp, Unix, Grpc], Upstream "0.29.0";
    SslCrlNextUpdate = "probe_ssl_crl_next_update_timestamp_seconds", "CRL nextUpdate as a Unix timestamp in seconds", ["chain_pos", "crl_url", "fingerprint_sha256", "issuer", "serialnumber", "subject", "subjectalternative"], [Http, Tcp, Unix, Grpc], Upstream "0.29.0";
    SslCrlRevoked = "probe_ssl_crl_revoked", "Whether the certificate appears on its CRL (0/1)", ["chain_pos", "crl_url", "fingerprint_sha256", "issuer", "serialnumber", "subject", "subjectalternative"], [Http, Tcp, Unix, Grpc], Upstream "0.29.0";
    SslCrlStale = "probe_ssl_crl_stale", "Whether the CRL is past its nextUpdate (0/1)", ["chain_pos", "crl_url", "fingerprint_sha256", "issuer", "serialnumber", "subject", "subjectalternative"], [Http, Tcp, Unix, Grpc], Upstream "0.29.0";
    SslEarliestCertExpiry = "probe_ssl_earliest_cert_expiry", "Returns last SSL chain expiry in unixtime", [], [Http, Tcp, Unix, Grpc], Upstream "0.1.0";
    SslLastChainExpiry = "probe_ssl_last_chain_expiry_timestamp_seconds", "Returns last SSL chain expiry in timestamp", [], [Http, Tcp, Unix], Upstream "0.17.0";
    SslLastChainInfo = "probe_ssl_last_chain_info", "Contains SSL leaf certificate information", ["fingerprint_sha256", "issuer", "serialnumber", "subject", "subjectalternative"], [Http, Tcp, Unix, Grpc], Upstream "0.18.0";
    SslOcspNextUpdate = "probe_ssl_ocsp_next_update_timestamp_seconds", "OCSP nextUpdate as a Unix timestamp in seconds", [], [Http, Tcp, Unix, Grpc, Websocket, Dns], Here "unreleased";
    SslOcspStapled = "probe_ssl_ocsp_stapled", "Whether the server stapled an OCSP response (0/1)", [], [Http, Tcp, Unix, Grpc, Websocket, Dns], Here "unreleased";
    SslOcspStatus = "probe_ssl_ocsp_status", "Status of the server's certificate in the OCSP response (0 good, 1 revoked, 2 unknown)", [], [Http, Tcp, Unix, Grpc, Websocket, Dns], Here "unreleased";
    SslOcspThisUpdate = "probe_ssl_ocsp_this_update_timestamp_seconds", "OCSP thisUpdate as a Unix timestamp in seconds", [], [Http, Tcp, Unix, Grpc, Websocket, Dns], Here "unreleased";
    SslScts = "probe_ssl_scts", "Signed certificate timestamps embedded in the server's certificate", [], [Http, Tcp, Unix, Grpc, Websocket, Dns], Here "unreleased";
    Success = "probe_success", "Displays whether or not the probe was a success", [], [], Upstream "0.1.0";
    TcpRttJitter = "probe_tcp_duration_rtt_jitter_seconds", "Mean difference between the times of consecutive connects", [], [Tcp], Here "unreleased";
    TcpRttMax = "probe_tcp_duration_rtt_max_seconds", "Maximum duration of connect", [], [Tcp], Here "unreleased";
    TcpRttMin = "probe_tcp_duration_rtt_min_seconds", "Minimum duration of connect", [], [Tcp], Here "unreleased";
    TcpRttStddev = "probe_tcp_duration_rtt_stddev_seconds", "Standard deviation of connect duration", [], [Tcp], Here "unreleased";
    TcpDuration = "probe_tcp_duration_seconds", "Duration of TCP probe by phase", ["phase"], [Tcp], Here "unreleased";
    TcpPacketLoss = "probe_tcp_packet_loss_ratio", "Share of the connects that failed", [], [Tcp], Here "unreleased";
    TcpPacketsReceived = "probe_tcp_packets_received_count", "Number of connects that succeeded", [], [Tcp], Here "unreleased";
    TcpPacketsSent = "probe_tcp_packets_sent_count", "Number of connects", [], [Tcp], Here "unreleased";
    Timeout = "probe_timeout_seconds", "Returns how long the probe timeout is in seconds", [], [], Upstream "0.29.0";
    TlsCipherInfo = "probe_tls_cipher_info", "Returns the TLS cipher negotiated during handshake", ["cipher"], [Http], Upstream "0.26.0";
    TlsVersionInfo = "probe_tls_version_info", "Returns the TLS version used or NaN when unknown", ["version"], [Http, Tcp, Unix, Grpc], Upstream "0.16.0";
    WebsocketConnectionUpgraded = "probe_websocket_connection_upgraded", "Indicates if the websocket connection was successfully upgraded", [], [Websocket], Upstream "0.29.0";
    WebsocketDuration = "probe_websocket_duration_seconds", "Duration of websocket request by phase", ["phase"], [Websocket], Upstream "0.29.0";
    WebsocketFailedDueToRegex = "probe_websocket_failed_due_to_regex", "Indicates if probe failed due to regex", [], [Websocket], Upstream "0.29.0";
    WebsocketStatusCode = "probe_websocket_status_code", "Response HTTP status code", [], [Websocket], Upstream "0.29.0";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_stand_in_the_order_of_their_names() {
        let names: Vec<_> = Metric::ALL.iter().map(|m| m.family().name).collect();
        assert!(names.is_sorted(), "{names:?}");
        assert!(Metric::ALL.is_sorted());
    }

    #[test]
    fn help_texts_need_no_escapes() {
        for metric in Metric::ALL {
            assert!(!metric.family().help.contains(['\\', '"', '\n']), "{metric:?}");
        }
    }

    #[test]
    fn labels_are_sorted() {
        for metric in Metric::ALL {
            assert!(metric.family().labels.is_sorted(), "{metric:?}");
        }
    }
}
