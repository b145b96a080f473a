//! Signatures that were found good: whether one certificate signed another never changes, and a probe meets the same ones again.
//!
//! Verifying a chain costs a hundred microseconds and more; looking it up here costs one a certificate. Only good signatures
//! are kept, and only that many, whatever servers present. Everything else about a chain is judged anew each time.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use aws_lc_rs::digest;

use super::Certificate;

/// How many signatures a generation holds; there are two.
const GENERATION: usize = 4096;

/// SHA-256 of the signed certificate and the key that signed it.
type Id = [u8; 32];

/// The signatures met lately, and those met before them.
#[derive(Default)]
struct Verified {
    young: HashSet<Id>,
    old: HashSet<Id>,
}

static VERIFIED: LazyLock<Mutex<Verified>> = LazyLock::new(Mutex::default);

/// Does what `verify` does, unless it is known that `parent` signed `child`.
pub(super) fn once<E>(
    child: &Certificate,
    parent: &Certificate,
    verify: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    let id = id(child, parent);
    let known = |verified: &mut Verified| verified.find(id);
    if locked(known) {
        return Ok(());
    }
    verify()?;
    locked(|verified| verified.keep(id));
    Ok(())
}

fn locked<T>(access: impl FnOnce(&mut Verified) -> T) -> T {
    access(&mut VERIFIED.lock().unwrap_or_else(PoisonError::into_inner))
}

fn id(child: &Certificate, parent: &Certificate) -> Id {
    let mut context = digest::Context::new(&digest::SHA256);
    // A certificate says itself where it ends, so the two cannot be confused.
    context.update(child.der());
    context.update(parent.raw_key_info());
    context.finish().as_ref().try_into().unwrap_or_default()
}

impl Verified {
    fn find(&mut self, id: Id) -> bool {
        if self.young.contains(&id) {
            return true;
        }
        let known = self.old.contains(&id);
        if known {
            self.keep(id);
        }
        known
    }

    fn keep(&mut self, id: Id) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(i: usize) -> Id {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&i.to_be_bytes());
        id
    }

    #[test]
    fn what_is_met_again_stays_and_the_rest_goes() {
        let mut verified = Verified::default();
        for i in 0..20 * GENERATION {
            verified.keep(numbered(i));
            assert!(verified.find(numbered(0)), "after {i}");
        }
        assert!(!verified.find(numbered(1)));
        assert!(verified.young.len() + verified.old.len() <= 2 * GENERATION);
    }
}
