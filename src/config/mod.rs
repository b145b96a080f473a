//! What the user typed: the configuration file of the seven probers as plain data.
//!
//! The field names and defaults are upstream's (`config/config.go` of blackbox_exporter and
//! `config/http_config.go` of prometheus/common). Nothing here can run: the folder `module` beside this one compiles it.
//!
//! From top to bottom: [`write`](mod@write) prints, [`files`] are whole files, [`module`] is one module, [`probers`] are its sections,
//! [`client`] what they say of connections, [`codec`] how any setting is read.

pub mod client;
pub mod codec;
pub mod files;
pub mod module;
pub mod probers;
pub mod write;

pub use go_yaml::{self as yaml, Position};
pub use gostd::units;
pub use miekg_dns::names as dns_names;

pub use client::http_client::{
    Authorization, BasicAuth, Header, HttpClient, JWT_BEARER, OAuth2, Proxy, canonical_header,
};
pub use client::socks::SocksProxy;
pub use client::tls::{DECRYPT, KEY_IS_ENCRYPTED, Tls, TlsVersion, is_encrypted_key};
pub(crate) use codec::confidential::{MASK, names_secret};
pub(crate) use codec::decode::INVALID_REFERENCE;
pub use codec::decode::{Author, NamedFile, Options};
pub(crate) use codec::environment::Expanded;
pub use codec::environment::ReferencedFiles;
pub use codec::named::Named;
pub use codec::problem::{Invalid, LoadError, Problem};
pub use codec::secret::{Secret, WITHOUT_MANAGER};
pub use codec::shared::Shared;
pub use codec::value::Anything;
pub use files::configuration::{Config, Parsed, parse, parse_with};
pub use files::policy::Policy;
pub use files::source::Source;
pub use files::text::decode_text;
pub use module::exposition::{Exposition, OwnExposition};
pub use module::params::{Param, Setting, Unfit};
pub use module::revocation::{Ocsp, Revocation};
pub use module::trace::{Trace, TraceHeader};
pub use module::vantage::{Addresses, Vantage};
pub use module::{Module, Prober};
pub use probers::dns::{Dns, Edns, RrValidator};
pub use probers::grpc::Grpc;
pub use probers::http::{HeaderMatch, Http};
pub use probers::icmp::Icmp;
pub use probers::query_response::{Label, QueryResponse};
pub use probers::repeat::Repeat;
pub use probers::starttls::StartTls;
pub use probers::status::StatusCodes;
pub use probers::tcp::Tcp;
pub use probers::unix::Unix;
pub use probers::websocket::Websocket;
