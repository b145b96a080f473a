//! Section `tcp`.

use go_yaml::Id;

use super::query_response::QueryResponse;
use super::repeat::Repeat;
use super::starttls::StartTls;
use crate::config::client::socks::SocksProxy;
use crate::config::client::tls::Tls;
use crate::config::codec::decode::Decoder;
use crate::config::codec::section::{Section, section};
use crate::config::codec::shared::Shared;
use crate::config::codec::value::{IpProtocol, Within};
use crate::config::codec::words::OptionalWord;

section! {
    /// Settings of the tcp prober.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct Tcp {
        omit preferred_ip_protocol: String as IpProtocol,
        omit ip_protocol_fallback: bool = true,
        omit source_ip_address: String,
        omit query_response: Vec<QueryResponse>,
        omit tls: bool,
        /// The protocol whose command for TLS comes first. Not in upstream.
        omit starttls: Option<StartTls> as OptionalWord,
        omit tls_config: Shared<Tls>,
        /// Whether to look certificates up in lists of revoked ones.
        omit check_revoked: bool,
        /// Several connections. Not in upstream.
        inline repeat: Repeat,
        /// The SOCKS5 proxy that connections go through. Not in upstream.
        inline proxy: SocksProxy,
        /// 0: connections end with a reset. No other value is allowed. Not in upstream.
        omit linger: Option<i64> as Within<0, 0>,
    }
}

impl Section for Tcp {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        self.repeat.judge(node, d);
        self.proxy.judge(node, d);
        if self.proxy.url().is_some() && self.repeat.packets() > 1 {
            let message = "several connects time the way to the target, which the proxy goes";
            d.report_field(node, "count", message, "leave out count, or proxy_url");
        }
        if self.linger.is_some_and(|seconds| seconds != 0) {
            let message = "\"linger\" can only be 0: the connection ends with a reset";
            let help = "leave it out for an orderly end";
            d.report_field(node, "linger", message, help);
        }
        if self.starttls.is_some() && self.tls {
            let message = "tls and starttls are mutually exclusive: starttls begins without TLS";
            d.report_field(node, "starttls", message, "leave tls out");
        }
        if self.starttls.is_some() && self.query_response.iter().any(|step| step.starttls) {
            let message = "the connection is in TLS already: the field starttls of the section began it";
            d.report_field(node, "query_response", message, "leave starttls: true out");
        }
    }
}
