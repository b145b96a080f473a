//! What can be wrong with a certificate, in Go's words: people search for these texts and match on them.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use gostd::strconv::quote_bytes;

use super::time;

/// Why bytes are not a certificate. Displays as Go's text, `x509: malformed serial number`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The certificate's form.
    #[error("x509: {0}")]
    Form(Cow<'static, str>),
    /// Its public key, judged by another of Go's packages.
    #[error("{0}")]
    Key(String),
}

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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A critical extension that nobody here understands.
    #[error("x509: unhandled critical extension")]
    UnhandledCriticalExtension,
    /// Not valid yet at `now` (both Unix seconds).
    #[error("x509: certificate has expired or is not yet valid: current time {} is before {}", time::rfc3339(*.now), time::rfc3339(*.not_before))]
    NotYetValid {
        /// When it was judged.
        now: i64,
        /// When it becomes valid.
        not_before: i64,
    },
    /// No longer valid at `now` (both Unix seconds).
    #[error("x509: certificate has expired or is not yet valid: current time {} is after {}", time::rfc3339(*.now), time::rfc3339(*.not_after))]
    Expired {
        /// When it was judged.
        now: i64,
        /// Until when it was valid.
        not_after: i64,
    },
    /// An intermediate that is no CA.
    #[error("x509: certificate is not authorized to sign other certificates")]
    NotAuthorizedToSign,
    /// Below a CA with a shorter path length.
    #[error("x509: too many intermediates for path length constraint")]
    TooManyIntermediates,
    /// The issuer's subject differs from the certificate's issuer.
    #[error("x509: issuer name does not match subject from issuing certificate")]
    NameMismatch,
    /// No certificate of the chain may be used for a server.
    #[error("x509: certificate specifies an incompatible key usage")]
    IncompatibleUsage,
    /// A name constraint of an issuer forbids a name.
    #[error("x509: a root or intermediate certificate is not authorized to sign for this name: {0}")]
    ConstrainedName(String),
    /// There were chains, but none was valid; how many for which reason.
    #[error("x509: no valid chains built{colon}{0}", colon = if .0.is_empty() { "" } else { ": " })]
    NoValidChains(String),
    /// No chain ends in a trusted certificate.
    #[error("x509: certificate signed by unknown authority{}", .0.as_ref().map(ToString::to_string).unwrap_or_default())]
    UnknownAuthority(Option<Box<Hint>>),
    /// More signatures would have to be checked than is reasonable.
    #[error("x509: signature check attempts limit reached while verifying certificate chain")]
    SignatureLimit,
    /// The certificate is for other names.
    #[error("x509: {0}")]
    Hostname(Hostname),
    /// The system has no CA certificates that could be read, and none are configured.
    #[error("x509: failed to load system roots and no roots provided{}", .0.as_ref().map(|why| format!("; {why}")).unwrap_or_default())]
    SystemRoots(Option<String>),
}

/// A CA certificate that was a candidate, and why it was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    " (possibly because of {} while trying to verify candidate authority certificate {})",
    quote_bytes(.reason.to_string()),
    quote_bytes(.candidate)
)]
pub struct Hint {
    pub(super) reason: HintReason,
    pub(super) candidate: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HintReason {
    #[error("{0}")]
    Signature(SignatureError),
    #[error("{0}")]
    Invalid(VerifyError),
}

/// Why a signature on a certificate does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignatureError {
    /// The parent is not a CA.
    #[error("x509: invalid signature: parent certificate cannot sign this kind of certificate")]
    ParentCannotSign,
    /// MD5 or SHA-1; the name of the algorithm.
    #[error("x509: cannot verify signature: insecure algorithm {0}")]
    Insecure(&'static str),
    /// An algorithm that is not known here.
    #[error("x509: cannot verify signature: algorithm unimplemented")]
    Unsupported,
    /// The key is of another kind than the algorithm's: the algorithm's kind, Go's type of the key.
    #[error("x509: signature algorithm specifies an {0} public key, but have public key of type {1}")]
    Mismatch(&'static str, &'static str),
    /// RSA keys below 1024 bits: the key's bits.
    #[error("crypto/rsa: {0}-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)")]
    WeakRsa(usize),
    /// The mathematics say no.
    #[error("crypto/rsa: verification error")]
    Rsa,
    #[error("x509: ECDSA verification failure")]
    Ecdsa,
    #[error("x509: Ed25519 verification failure")]
    Ed25519,
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
