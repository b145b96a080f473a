//! What a TLS handshake told, and the metrics made of it.

use std::sync::Arc;

use crate::metrics::{Labels, Metric, Samples};
pub use crate::net::x509::Certificate;

/// Facts of one handshake, failed ones included.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// `TLS 1.2`, `TLS 1.3`; `None` when the handshake did not get that far.
    pub version: Option<&'static str>,
    /// The cipher suite under Go's name.
    pub cipher: Option<&'static str>,
    /// The application protocol agreed on.
    pub alpn: Option<Vec<u8>>,
    /// The certificates as presented, leaf first.
    pub presented: Vec<Arc<Certificate>>,
    /// How it ended.
    pub ending: Ending,
    /// The verified chains, leaf first, root last; empty when none was found or none was asked for.
    pub chains: Vec<Vec<Arc<Certificate>>>,
    /// The OCSP response that came with the certificates.
    pub stapled: Option<Arc<[u8]>>,
    /// Whether the presented certificates end short of a root: the last one's issuer was neither presented nor is it trusted here.
    /// `None` where that cannot be known, because nobody's certificates are trusted.
    pub incomplete: Option<bool>,
    /// Whether the server asked for a certificate of ours, and there is none.
    pub lacks_certificate: bool,
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    #[default]
    Complete,
    /// The certificate was refused: not trusted, expired, for another name, ….
    Refused,
    /// For another reason, after the certificates were presented.
    Broken,
}

/// Which families a prober exposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactSet {
    /// http: everything.
    Http,
    /// tcp, unix, starttls: everything but the cipher.
    Stream,
    /// grpc: earliest expiry, version, leaf.
    Grpc,
}

/// Go's zero time, 0001-01-01, in Unix seconds: what upstream exposes when there is no verified chain.
const NO_CHAIN: i64 = -62_135_596_800;

impl TlsFacts {
    /// The server's certificate and its issuer's, as far as they are known.
    pub fn leaf_and_issuer(&self) -> Option<(&Arc<Certificate>, Option<&Arc<Certificate>>)> {
        let chain = self.chains.first().unwrap_or(&self.presented);
        let (leaf, others) = chain.split_first()?;
        let issuer = others.iter().find(|other| leaf.names_issuer(other));
        Some((leaf, issuer.or_else(|| leaf.is_self_issued().then_some(leaf))))
    }

    /// The presented certificate that the chain ends with: from the server's upwards, as far as the issuers were presented.
    pub fn top(&self) -> Option<&Arc<Certificate>> {
        let (mut top, mut others) = (
            self.presented.first()?,
            self.presented.iter().skip(1).collect::<Vec<_>>(),
        );
        while !top.is_self_issued()
            && let Some(at) = others.iter().position(|other| top.names_issuer(other))
        {
            // Each is used once: the names may go round in a circle.
            top = others.swap_remove(at);
        }
        Some(top)
    }

    /// The first expiry among the presented certificates, Unix seconds.
    fn earliest_expiry(&self) -> Option<i64> {
        self.presented.iter().map(|c| c.not_after).min()
    }

    /// When the last verified chain expires, which is when its first certificate does; Unix seconds.
    pub fn last_chain_expiry(&self) -> Option<i64> {
        let expiries = self.chains.iter();
        expiries
            .filter_map(|chain| chain.iter().map(|c| c.not_after).min())
            .max()
    }

    /// Writes the certificate and protocol families. What the handshake did not reach is left out.
    pub fn expose(&self, samples: &mut Samples, set: FactSet) {
        // compat: upstream leaves the families out when the certificate is refused, so that an alert on its expiry ends when it
        // expires. A handshake that breaks for another reason has none there and none here.
        if self.ending == Ending::Broken {
            return;
        }
        // Seconds of dates fit a float without loss.
        #[allow(clippy::cast_precision_loss)]
        let seconds = |at: i64| at as f64;
        if let Some(earliest) = self.earliest_expiry() {
            samples.set(Metric::SslEarliestCertExpiry, seconds(earliest));
        }
        if set != FactSet::Grpc && !self.presented.is_empty() {
            let last = self.last_chain_expiry().unwrap_or(NO_CHAIN);
            samples.set(Metric::SslLastChainExpiry, seconds(last));
        }
        if let Some(leaf) = self.presented.first() {
            let names: Vec<&str> = leaf.dns_names().collect();
            let values = [
                leaf.fingerprint(),
                leaf.issuer(),
                leaf.serial(),
                leaf.subject(),
                names.join(","),
            ];
            let labels = Labels::Values(values.map(Into::into).into());
            samples.set_labels(Metric::SslLastChainInfo, labels, 1.0);
        }
        if let Some(version) = self.version {
            samples.set_label(Metric::TlsVersionInfo, version, 1.0);
        }
        if let Some(cipher) = self.cipher.filter(|_| set == FactSet::Http) {
            samples.set_label(Metric::TlsCipherInfo, cipher, 1.0);
        }
    }
}
