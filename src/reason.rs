//! Why a probe failed: one closed set of reasons for all probers.
//!
//! Error types give their reason where the failure happens; nobody reads texts to find out. Each reason has a section in
//! `docs/failures.md`.

use std::error::Error as _;
use std::io;

use go_http::http1::{ExchangeError, WriteError};
use go_http::http2::Http2Error;
use go_http::http3::Http3Error;
use go_http::websocket::FrameError;

use crate::shortage::Resource;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a probe failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The value of the label `reason`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// The name does not exist.
    ResolveNotFound = "resolve_not_found",
    /// The name exists and has no address that the module accepts.
    ResolveNoAddress = "resolve_no_address",
    /// No name server answered in time.
    ResolveTimeout = "resolve_timeout",
    /// A name server answered with an error, or could not be asked.
    ResolveError = "resolve_error",
    /// The policy of the configuration is against the target, or against something on the way to it.
    PolicyRefused = "policy_refused",
    /// Nothing listens there.
    ConnectRefused = "connect_refused",
    /// No answer to connecting in time.
    ConnectTimeout = "connect_timeout",
    /// There is no way to the address.
    ConnectUnreachable = "connect_unreachable",
    /// The peer reset the connection.
    ConnectReset = "connect_reset",
    /// The proxy cannot be reached or refuses.
    ProxyError = "proxy_error",
    /// No TLS session could be agreed.
    TlsHandshake = "tls_handshake",
    /// The certificate has expired.
    TlsCertExpired = "tls_cert_expired",
    /// The certificate is not valid yet.
    TlsCertNotYetValid = "tls_cert_not_yet_valid",
    /// The certificate comes from nobody who is trusted.
    TlsCertUntrusted = "tls_cert_untrusted",
    /// The certificate is for other names.
    TlsCertName = "tls_cert_name",
    /// The certificate has been revoked.
    TlsCertRevoked = "tls_cert_revoked",
    /// No version of TLS in common.
    TlsVersion = "tls_version",
    /// The response did not come in time.
    RequestTimeout = "request_timeout",
    /// A status code that the module does not accept.
    HttpStatus = "http_status",
    /// A version of HTTP that the module does not accept.
    HttpVersion = "http_version",
    /// Redirects without end, or one that leads nowhere.
    HttpRedirects = "http_redirects",
    /// TLS, although the module is against it.
    SslPresent = "ssl_present",
    /// No TLS, although the module demands it.
    SslAbsent = "ssl_absent",
    /// The body does not pass a regular expression.
    BodyRegexp = "body_regexp",
    /// The body does not pass a CEL expression.
    BodyJson = "body_json",
    /// The body is longer than may be read.
    BodyTooLarge = "body_too_large",
    /// The body cannot be decompressed.
    BodyDecoding = "body_decoding",
    /// A header does not pass a regular expression, or is missing.
    HeaderRegexp = "header_regexp",
    /// The peer does not keep to the protocol.
    ProtocolError = "protocol_error",
    /// A response code of DNS that the module does not accept.
    DnsRcode = "dns_rcode",
    /// The records of the response do not pass.
    DnsRecords = "dns_records",
    /// The peer said something else than the dialogue expects.
    ExpectMismatch = "expect_mismatch",
    /// The peer said nothing that the dialogue waits for in time.
    ExpectTimeout = "expect_timeout",
    /// The peer closed the connection.
    PeerClosed = "peer_closed",
    /// Too few pings were answered in time.
    IcmpNoReply = "icmp_no_reply",
    /// A router says that there is no way to the target.
    IcmpUnreachable = "icmp_unreachable",
    /// A router says that the packet travelled too long.
    IcmpTimeExceeded = "icmp_time_exceeded",
    /// The packet is too big for the path.
    IcmpTooBig = "icmp_too_big",
    /// The call ended with another status than OK.
    GrpcStatus = "grpc_status",
    /// The service says that it does not serve.
    GrpcNotServing = "grpc_not_serving",
    /// The server does not upgrade the connection.
    WebsocketRefused = "websocket_refused",
    /// No access token could be had.
    AuthToken = "auth_token",
    /// A file that the module names cannot be used.
    FileError = "file_error",
    /// This machine has none left of something: open files, ports, memory.
    OutOfResources = "out_of_resources",
    /// As many probes ran as may.
    TooManyProbes = "too_many_probes",
    /// The module, the target or this machine is set up so that the probe cannot be made.
    ConfigError = "config_error",
    /// Something else.
    Other = "other",
}

impl Reason {
    /// Where it is explained.
    pub fn link(self) -> String {
        format!(
            "{}/blob/main/docs/failures.md#{}",
            env!("CARGO_PKG_REPOSITORY"),
            self.name()
        )
    }

    /// Whether the same probe may succeed a moment later. What this machine or the configuration is against stays so.
    pub fn may_pass(self) -> bool {
        !matches!(
            self,
            Self::PolicyRefused | Self::ConfigError | Self::OutOfResources | Self::TooManyProbes
        )
    }

    /// The phase that the reason belongs to whatever the prober; `None` when it can be several.
    pub fn phase(self) -> Option<&'static str> {
        match self {
            Self::ResolveNotFound | Self::ResolveNoAddress | Self::ResolveTimeout | Self::ResolveError => {
                Some("resolve")
            }
            Self::ConnectRefused | Self::ConnectTimeout | Self::ConnectUnreachable | Self::ProxyError => {
                Some("connect")
            }
            Self::TlsHandshake
            | Self::TlsCertExpired
            | Self::TlsCertNotYetValid
            | Self::TlsCertUntrusted
            | Self::TlsCertName
            | Self::TlsCertRevoked
            | Self::TlsVersion => Some("tls"),
            Self::AuthToken => Some("token"),
            _ => None,
        }
    }

    /// What the failure of a call on a socket of IP means.
    pub fn of_call(call: &str, error: &io::Error) -> Self {
        if Resource::of(call, error).is_some() {
            return Self::OutOfResources;
        }
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::ConnectionRefused, _) => Self::ConnectRefused,
            (
                io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe,
                _,
            ) => Self::ConnectReset,
            (io::ErrorKind::TimedOut, _) => Self::ConnectTimeout,
            (
                io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown,
                _,
            ) => Self::ConnectUnreachable,
            // A route that prohibits or discards (blackhole), a firewall of this machine, no address to send from.
            (_, Some(libc::EACCES | libc::EPERM | libc::EINVAL | libc::EADDRNOTAVAIL))
                if matches!(call, "connect" | "send") =>
            {
                Self::ConnectUnreachable
            }
            (io::ErrorKind::UnexpectedEof, _) => Self::PeerClosed,
            // Of our own making: an address that is not ours, a socket's path that is not there.
            (
                io::ErrorKind::AddrNotAvailable
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::PermissionDenied,
                _,
            ) => Self::ConfigError,
            (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _) => Self::FileError,
            // The wrong family, no such interface, a socket of datagrams.
            (_, Some(libc::EAFNOSUPPORT | libc::ENODEV | libc::EPROTOTYPE)) => Self::ConfigError,
            (_, Some(libc::EMSGSIZE)) => Self::IcmpTooBig,
            _ => Self::Other,
        }
    }
}

impl From<&io::Error> for Reason {
    /// Reading or writing on a connection that stood.
    fn from(error: &io::Error) -> Self {
        match Self::of_call("send", error) {
            Self::Other if refuses_client(error) => Self::TlsHandshake,
            Self::Other => Self::ProtocolError,
            reason => reason,
        }
    }
}

/// Whether it is an alert by which a server refuses a client's certificate, or demands one: with TLS 1.3 it comes after the handshake.
fn refuses_client(error: &io::Error) -> bool {
    use rustls::AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, HandshakeFailure, UnknownCA, UnsupportedCertificate,
    };
    let told = error.source().and_then(|source| source.downcast_ref());
    matches!(
        told,
        Some(rustls::Error::AlertReceived(
            HandshakeFailure
                | BadCertificate
                | UnsupportedCertificate
                | CertificateRevoked
                | CertificateExpired
                | CertificateUnknown
                | UnknownCA
                | AccessDenied
                | CertificateRequired
        ))
    )
}

impl From<&ExchangeError> for Reason {
    fn from(error: &ExchangeError) -> Self {
        match error {
            ExchangeError::Closed | ExchangeError::Truncated(_) => Self::PeerClosed,
            ExchangeError::Read(error) | ExchangeError::Write(WriteError::Sink(error)) => error.into(),
            ExchangeError::Write(WriteError::Source(_)) => Self::FileError,
            ExchangeError::Head(_) | ExchangeError::Length(_) => Self::ProtocolError,
        }
    }
}

impl From<&Http2Error> for Reason {
    fn from(error: &Http2Error) -> Self {
        match error {
            Http2Error::Request(_) => Self::ConfigError,
            Http2Error::Source(_) => Self::FileError,
            Http2Error::Read(error) | Http2Error::Write(error) => error.into(),
            Http2Error::Closed | Http2Error::GoAway { code: 0, .. } => Self::PeerClosed,
            Http2Error::GoAway { .. }
            | Http2Error::Reset(_)
            | Http2Error::Connection(_)
            | Http2Error::Malformed(_)
            | Http2Error::ListTooLong(_) => Self::ProtocolError,
        }
    }
}

impl From<&Http3Error> for Reason {
    fn from(error: &Http3Error) -> Self {
        match error {
            Http3Error::Request(_) => Self::ConfigError,
            Http3Error::Source(_) => Self::FileError,
            Http3Error::Closed | Http3Error::Truncated | Http3Error::Lost(_) => Self::PeerClosed,
            Http3Error::Read(error) => error.into(),
            _ => Self::ProtocolError,
        }
    }
}

impl From<&FrameError> for Reason {
    fn from(error: &FrameError) -> Self {
        match error {
            FrameError::Closed { .. } => Self::PeerClosed,
            FrameError::Protocol(_) => Self::ProtocolError,
            FrameError::TooLong => Self::BodyTooLarge,
            FrameError::TimedOut(_) => Self::ExpectTimeout,
            FrameError::Io(error) => error.into(),
        }
    }
}
