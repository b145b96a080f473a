//! Signatures that were found good: whether one certificate signed another never changes, and a probe meets the same ones again.
//!
//! Verifying a chain costs a hundred microseconds and more; looking it up here costs one a certificate. Only good signatures
//! are kept, and only that many, whatever servers present. Everything else about a chain is judged anew each time.

use std::sync::{LazyLock, Mutex, PoisonError};

use aws_lc_rs::digest;

use super::Certificate;
use super::recent::Recent;

/// How many signatures a generation holds; there are two.
const GENERATION: usize = 4096;

/// SHA-256 of the signed certificate and the key that signed it.
type Id = [u8; 32];

static VERIFIED: LazyLock<Mutex<Recent<Id>>> = LazyLock::new(|| Mutex::new(Recent::new(GENERATION)));

/// Does what `verify` does, unless it is known that `parent` signed `child`.
pub(super) fn once<E>(
    child: &Certificate,
    parent: &Certificate,
    verify: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    let id = id(child, parent);
    let known = || VERIFIED.lock().unwrap_or_else(PoisonError::into_inner);
    if known().find(&id).is_some() {
        return Ok(());
    }
    verify()?;
    known().keep(id);
    Ok(())
}

fn id(child: &Certificate, parent: &Certificate) -> Id {
    let mut context = digest::Context::new(&digest::SHA256);
    // A certificate says itself where it ends, so the two cannot be confused.
    context.update(child.der());
    context.update(parent.raw_key_info());
    context.finish().as_ref().try_into().unwrap_or_default()
}
