//! Section `icmp`.

use go_yaml::Id;

use super::repeat::{MOST, Repeat};
use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::section::{Section, section};
use crate::config::codec::tree::Tree;
use crate::config::codec::value::{Codec, IpProtocol, Value as _, Within};

section! {
    /// Settings of the icmp prober.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Icmp {
        /// `ip4` or `ip6`; anything but `ip6` and empty means ip4.
        omit preferred_ip_protocol: String as IpProtocol,
        /// Whether the other family may be used.
        omit ip_protocol_fallback: bool = true,
        /// Source address, judged at probe time.
        omit source_ip_address: String,
        /// Bytes of payload; 0 means the default text. Any value loads, a probe judges it.
        omit payload_size: i64,
        /// Set the don't-fragment flag.
        omit dont_fragment: bool,
        /// Time to live, 0 (the system's) to 255.
        omit ttl: u8 as Ttl = 64,
        /// Several requests. Not in upstream.
        inline repeat: Repeat,
        /// How many of them must be answered, 0 when it is not written, which means one. Not in upstream.
        omit min_replies: i64 as Within<0, MOST>,
    }
}

impl Section for Icmp {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        self.repeat.judge(node, d);
        let most = i64::from(self.repeat.packets());
        if self.min_replies < 0 || self.min_replies > most {
            let message = format!(
                "\"min_replies\" is {}, not between 1 and count, which is {most}",
                self.min_replies
            );
            d.report_field(node, "min_replies", message, None);
        }
    }
}

/// A whole number from 0 to 255.
struct Ttl;

impl Codec<u8> for Ttl {
    fn decode(place: &mut u8, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        let mut number: i64 = 0;
        if !number.decode(node, d) {
            return false;
        }
        match u8::try_from(number) {
            Ok(ttl) => *place = ttl,
            Err(_) => {
                let wrong = if number < 0 { "be negative" } else { "exceed 255" };
                d.report(
                    node,
                    format!("\"ttl\" cannot {wrong}"),
                    "0 leaves it to the system",
                );
            }
        }
        true
    }

    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::within(0, 255)
    }
    fn is_zero(place: &u8) -> bool {
        *place == 0
    }
    fn tree(place: &u8) -> Tree {
        Tree::Int(i64::from(*place))
    }
}
