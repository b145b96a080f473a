//! A set of certificates to build chains from.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Certificate, pem};

/// Certificates by subject. Each stands in it once.
#[derive(Debug, Default)]
pub struct Pool {
    by_subject: HashMap<Box<[u8]>, Vec<Arc<Certificate>>>,
}

impl Pool {
    /// Adds every certificate of a PEM text that can be read, and passes over everything else. Whether there was any.
    pub fn add_pem(&mut self, text: &[u8]) -> bool {
        let mut any = false;
        for block in pem::blocks(text) {
            if block.label != "CERTIFICATE" || block.has_headers {
                continue;
            }
            if let Ok(certificate) = Certificate::parse(&block.bytes) {
                self.add(Arc::new(certificate));
                any = true;
            }
        }
        any
    }

    /// Adds a certificate unless it is in already.
    pub fn add(&mut self, certificate: Arc<Certificate>) {
        let same_subject = self
            .by_subject
            .entry(certificate.raw_subject().into())
            .or_default();
        if same_subject.iter().all(|c| c.der() != certificate.der()) {
            same_subject.push(certificate);
        }
    }

    /// The subjects, as they are written in the certificates.
    pub fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.by_subject.keys().map(|subject| &**subject)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }

    /// Whether a certificate of this pool may have issued `child`, by name and key identifier.
    pub fn names_issuer_of(&self, child: &Certificate) -> bool {
        let same_name = self.by_subject.get(child.raw_issuer());
        same_name.is_some_and(|named| named.iter().any(|one| child.names_issuer(one)))
    }

    /// The certificate of this pool that is this very one.
    pub(super) fn find(&self, certificate: &Certificate) -> Option<&Arc<Certificate>> {
        let same_subject = self.by_subject.get(certificate.raw_subject())?;
        same_subject.iter().find(|c| c.der() == certificate.der())
    }

    /// Which may have signed `child`, the likeliest first: those whose key identifier is the wanted one, those where one of the
    /// two does not say, the others.
    pub(super) fn parents(&self, child: &Certificate) -> Vec<&Arc<Certificate>> {
        let wanted = child.bytes(child.extensions.authority_key_id);
        let mut found: Vec<_> = self
            .by_subject
            .get(child.raw_issuer())
            .into_iter()
            .flatten()
            .collect();
        found.sort_by_key(|candidate| {
            let own = candidate.bytes(candidate.extensions.subject_key_id);
            match (own == wanted, own.is_empty() || wanted.is_empty()) {
                (true, _) => 0,
                (false, true) => 1,
                (false, false) => 2,
            }
        });
        found
    }
}
