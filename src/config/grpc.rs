//! Section `grpc`.

use super::decode::{Decoder, Section, Value};
use super::schema::Sections;
use super::tree::Tree;
use super::value::{Codec, Family, Write, section};
use super::yaml::Id;
use super::{Named, Shared, Tls};

/// Settings of the grpc prober.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Grpc {
    /// Service name of the health check; empty asks for the whole server.
    pub service: String,
    pub tls: bool,
    pub tls_config: Shared<Tls>,
    pub ip_protocol_fallback: bool,
    pub preferred_ip_protocol: String,
    pub metadata: Named<Vec<String>>,
    /// Whether to look certificates up in lists of revoked ones.
    pub check_revoked: bool,
    /// Whether the section was there at all: upstream prints no defaults of one that was left out.
    pub written: bool,
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            service: String::new(),
            tls: false,
            tls_config: Shared::default(),
            ip_protocol_fallback: true,
            preferred_ip_protocol: String::new(),
            metadata: Named::default(),
            check_revoked: false,
            written: false,
        }
    }
}

section!(Grpc {
    omit service;
    omit tls;
    omit tls_config;
    omit ip_protocol_fallback;
    omit preferred_ip_protocol as Family;
    omit metadata;
    omit check_revoked;
});

impl Section for Grpc {
    fn begin(&mut self) {
        *self = Self {
            written: true,
            ..Self::default()
        };
    }
}

/// The section as a field of a module.
pub(super) struct WhenWritten;

impl Codec<Shared<Grpc>> for WhenWritten {
    fn decode(place: &mut Shared<Grpc>, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        place.decode(node, d)
    }

    fn schema(sections: &mut Sections) -> serde_json::Value {
        Grpc::schema(sections)
    }
    fn is_zero(place: &Shared<Grpc>) -> bool {
        !place.written || Write::is_zero(place)
    }
    fn tree(place: &Shared<Grpc>) -> Tree {
        Write::tree(place)
    }
}
