//! Certificates that were parsed lately: what comes of parsing depends on their bytes alone, and a probe meets the same ones again.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::recent::Recent;
use super::{Certificate, ParseError};

/// How many a generation holds; there are two.
const GENERATION: usize = 512;
/// Larger ones are not kept.
const LARGEST: usize = 4096;

/// A certificate that is found by its bytes.
struct ByDer(Arc<Certificate>);

impl Borrow<[u8]> for ByDer {
    fn borrow(&self) -> &[u8] {
        self.0.der()
    }
}

impl Hash for ByDer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.der().hash(state);
    }
}

impl PartialEq for ByDer {
    fn eq(&self, other: &Self) -> bool {
        self.0.der() == other.0.der()
    }
}

impl Eq for ByDer {}

static PARSED: LazyLock<Mutex<Recent<ByDer>>> = LazyLock::new(|| Mutex::new(Recent::new(GENERATION)));

impl Certificate {
    /// As [`parse`](Self::parse); shared with those who parsed the same bytes lately.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn shared(der: &[u8]) -> Result<Arc<Self>, ParseError> {
        let known = || PARSED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().find(der) {
            return Ok(Arc::clone(&found.0));
        }
        let parsed = Arc::new(Self::parse(der)?);
        if der.len() <= LARGEST {
            known().keep(ByDer(Arc::clone(&parsed)));
        }
        Ok(parsed)
    }
}
