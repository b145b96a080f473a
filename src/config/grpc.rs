//! Section `grpc`.

use super::decode::Decoder;
use super::section::{Section, section};
use super::value::{IpProtocol, Value as _, Variant};
use super::yaml::Id;
use super::{Named, Shared, Tls};

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
pub(super) struct WhenWritten;

impl Variant<Shared<Grpc>> for WhenWritten {
    fn is_zero(place: &Shared<Grpc>) -> bool {
        !place.written || place.is_zero()
    }
}
