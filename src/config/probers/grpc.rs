//! Section `grpc`.

use go_yaml::Id;

use crate::config::client::tls::Tls;
use crate::config::codec::decode::Decoder;
use crate::config::codec::named::Named;
use crate::config::codec::section::{Section, section};
use crate::config::codec::shared::Shared;
use crate::config::codec::value::{IpProtocol, Value as _, Variant};

section! {
    /// Settings of the grpc prober.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct Grpc {
        /// Service name of the health check; empty asks for the whole server.
        omit service: String,
        omit tls: bool,
        omit tls_config: Shared<Tls>,
        omit ip_protocol_fallback: bool = true,
        omit preferred_ip_protocol: String as IpProtocol,
        omit metadata: Named<Vec<String>>,
        /// Whether to look certificates up in lists of revoked ones.
        omit check_revoked: bool,
        /// Whether the section was there at all: upstream prints no defaults of one that was left out.
        skip written: bool,
    }
}

impl Section for Grpc {
    fn judge(&mut self, _: Id, _: &mut Decoder<'_, '_>) {
        self.written = true;
    }
}

/// The section as a field of a module.
pub(crate) struct WhenWritten;

impl Variant<Shared<Grpc>> for WhenWritten {
    fn is_zero(place: &Shared<Grpc>) -> bool {
        !place.written || place.is_zero()
    }
}
