//! Section `icmp`.

/// Settings of the icmp prober.
#[derive(Clone, Debug, PartialEq)]
pub struct Icmp {
    /// `ip4` or `ip6`; anything but `ip6` and empty means ip4.
    pub preferred_ip_protocol: String,
    /// Whether the other family may be used.
    pub ip_protocol_fallback: bool,
    /// Source address, judged at probe time.
    pub source_ip_address: String,
    /// Bytes of payload; 0 means the default text. Any value loads, a probe judges it.
    pub payload_size: i64,
    /// Set the don't-fragment flag.
    pub dont_fragment: bool,
    /// Time to live, 0 (the system's) to 255.
    pub ttl: u8,
}

impl Default for Icmp {
    fn default() -> Self {
        Self {
            preferred_ip_protocol: String::new(),
            ip_protocol_fallback: true,
            source_ip_address: String::new(),
            payload_size: 0,
            dont_fragment: false,
            ttl: 64,
        }
    }
}
