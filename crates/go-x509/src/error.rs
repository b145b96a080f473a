//! What can be wrong with a certificate, in Go's words: people search for these texts and match on them.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use super::{name, time};

/// Why bytes are not a certificate. Displays as Go's text, `x509: malformed serial number`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The certificate's form.
    Form(Cow<'static, str>),
    /// Its public key, judged by another of Go's packages.
    Key(String),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(text) => write!(f, "x509: {text}"),
            Self::Key(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ParseError {}

impl From<&'static str> for ParseError {
    fn from(text: &'static str) -> Self {
        Self::Form(Cow::Borrowed(text))
    }
}

impl From<String> for ParseError {
    fn from(text: String) -> Self {
        Self::Form(Cow::Owned(text))
    }
}

/// Why a certificate is not trusted. Displays as Go's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// A critical extension that nobody here understands.
    UnhandledCriticalExtension,
    /// Not valid yet at `now` (both Unix seconds).
    NotYetValid {
        /// When it was judged.
        now: i64,
        /// When it becomes valid.
        not_before: i64,
    },
    /// No longer valid at `now` (both Unix seconds).
    Expired {
        /// When it was judged.
        now: i64,
        /// Until when it was valid.
        not_after: i64,
    },
    /// An intermediate that is no CA.
    NotAuthorizedToSign,
    /// Below a CA with a shorter path length.
    TooManyIntermediates,
    /// The issuer's subject differs from the certificate's issuer.
    NameMismatch,
    /// No certificate of the chain may be used for a server.
    IncompatibleUsage,
    /// A name constraint of an issuer forbids a name.
    ConstrainedName(String),
    /// There were chains, but none was valid; how many for which reason.
    NoValidChains(String),
    /// No chain ends in a trusted certificate.
    UnknownAuthority(Option<Box<Hint>>),
    /// More signatures would have to be checked than is reasonable.
    SignatureLimit,
    /// The certificate is for other names.
    Hostname(Hostname),
    /// The system has no CA certificates that could be read, and none are configured.
    SystemRoots(Option<String>),
}

/// A CA certificate that was a candidate, and why it was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub(super) reason: HintReason,
    pub(super) candidate: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HintReason {
    Signature(SignatureError),
    Invalid(VerifyError),
}

/// Why a signature on a certificate does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SignatureError {
    /// The parent is not a CA.
    ParentCannotSign,
    /// MD5 or SHA-1; the name of the algorithm.
    Insecure(&'static str),
    /// An algorithm that is not known here.
    Unsupported,
    /// The key is of another kind than the algorithm's: the algorithm's kind, Go's type of the key.
    Mismatch(&'static str, &'static str),
    /// RSA keys below 1024 bits: the key's bits.
    WeakRsa(usize),
    /// The mathematics say no.
    Rsa,
    Ecdsa,
    Ed25519,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ParentCannotSign => f.write_str(
                "x509: invalid signature: parent certificate cannot sign this kind of certificate",
            ),
            Self::Insecure(name) => write!(f, "x509: cannot verify signature: insecure algorithm {name}"),
            Self::Unsupported => f.write_str("x509: cannot verify signature: algorithm unimplemented"),
            Self::Mismatch(wanted, have) => write!(
                f,
                "x509: signature algorithm specifies an {wanted} public key, but have public key of type {have}"
            ),
            Self::WeakRsa(bits) => write!(
                f,
                "crypto/rsa: {bits}-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)"
            ),
            Self::Rsa => f.write_str("crypto/rsa: verification error"),
            Self::Ecdsa => f.write_str("x509: ECDSA verification failure"),
            Self::Ed25519 => f.write_str("x509: Ed25519 verification failure"),
        }
    }
}

/// What a certificate is valid for, instead of the wanted host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostname {
    pub(super) host: String,
    pub(super) found: Names,
}

impl Hostname {
    /// The host that was wanted.
    pub fn host(&self) -> &str {
        &self.host
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// The common name would match, but there is no SAN extension.
    OnlyCommonName,
    /// An address is wanted; these are there (at most a hundred).
    Addresses(Vec<IpAddr>),
    /// An address is wanted; that many are there.
    ManyAddresses(usize),
    /// A name is wanted; these are there (at most a hundred).
    Dns(Vec<String>),
    /// A name is wanted; that many are there.
    ManyDns(usize),
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        let valid = match &self.found {
            Names::OnlyCommonName => {
                return f.write_str("certificate relies on legacy Common Name field, use SANs instead");
            }
            Names::Addresses(found) if found.is_empty() => {
                return write!(
                    f,
                    "cannot validate certificate for {host} because it doesn't contain any IP SANs"
                );
            }
            Names::ManyAddresses(count) => {
                return write!(
                    f,
                    "certificate is valid for {count} IP SANs, but none matched {host}"
                );
            }
            Names::ManyDns(count) => {
                return write!(
                    f,
                    "certificate is valid for {count} names, but none matched {host}"
                );
            }
            Names::Addresses(found) => {
                let texts: Vec<String> = found.iter().map(IpAddr::to_string).collect();
                texts.join(", ")
            }
            Names::Dns(found) => found.join(", "),
        };
        if valid.is_empty() {
            return write!(
                f,
                "certificate is not valid for any names, but wanted to match {host}"
            );
        }
        write!(f, "certificate is valid for {valid}, not {host}")
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("x509: ")?;
        match self {
            Self::UnhandledCriticalExtension => f.write_str("unhandled critical extension"),
            Self::NotYetValid { now, not_before } => write!(
                f,
                "certificate has expired or is not yet valid: current time {} is before {}",
                time::rfc3339(*now),
                time::rfc3339(*not_before)
            ),
            Self::Expired { now, not_after } => write!(
                f,
                "certificate has expired or is not yet valid: current time {} is after {}",
                time::rfc3339(*now),
                time::rfc3339(*not_after)
            ),
            Self::NotAuthorizedToSign => {
                f.write_str("certificate is not authorized to sign other certificates")
            }
            Self::TooManyIntermediates => f.write_str("too many intermediates for path length constraint"),
            Self::NameMismatch => f.write_str("issuer name does not match subject from issuing certificate"),
            Self::IncompatibleUsage => f.write_str("certificate specifies an incompatible key usage"),
            Self::ConstrainedName(detail) => write!(
                f,
                "a root or intermediate certificate is not authorized to sign for this name: {detail}"
            ),
            Self::NoValidChains(detail) if detail.is_empty() => f.write_str("no valid chains built"),
            Self::NoValidChains(detail) => write!(f, "no valid chains built: {detail}"),
            Self::UnknownAuthority(None) => f.write_str("certificate signed by unknown authority"),
            Self::UnknownAuthority(Some(hint)) => {
                let reason = match &hint.reason {
                    HintReason::Signature(error) => error.to_string(),
                    HintReason::Invalid(error) => error.to_string(),
                };
                write!(
                    f,
                    "certificate signed by unknown authority (possibly because of {} while trying to verify candidate \
                     authority certificate {})",
                    name::quoted(&reason),
                    name::quoted(&hint.candidate)
                )
            }
            Self::SignatureLimit => {
                f.write_str("signature check attempts limit reached while verifying certificate chain")
            }
            Self::Hostname(error) => write!(f, "{error}"),
            Self::SystemRoots(None) => f.write_str("failed to load system roots and no roots provided"),
            Self::SystemRoots(Some(why)) => {
                write!(f, "failed to load system roots and no roots provided; {why}")
            }
        }
    }
}

impl std::error::Error for VerifyError {}
