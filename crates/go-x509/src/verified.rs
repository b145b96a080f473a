//! Signatures that were found good: whether one certificate signed another never changes, and a probe meets the same ones again.
//!
//! Verifying a chain costs a hundred microseconds and more; looking it up here costs one a certificate. Only good signatures
//! are kept, and only that many, whatever servers present. Everything else about a chain is judged again each time.

use std::sync::{LazyLock, Mutex, PoisonError};

use super::Certificate;
use super::recent::Recent;

/// How many signatures a generation holds; there are two.
const GENERATION: usize = 4096;

/// SHA-256 of the signed certificate, and of the one whose key signed it.
type Id = [[u8; 32]; 2];

static VERIFIED: LazyLock<Mutex<Recent<Id>>> = LazyLock::new(|| Mutex::new(Recent::new(GENERATION)));

/// Does what `verify` does, unless it is known that `parent` signed `child`.
pub(super) fn once<E>(
    child: &Certificate,
    parent: &Certificate,
    verify: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    let id = [*child.digest(), *parent.digest()];
    let known = || VERIFIED.lock().unwrap_or_else(PoisonError::into_inner);
    if known().find(&id).is_some() {
        return Ok(());
    }
    verify()?;
    known().keep(id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SignatureAlgorithm};

    use super::super::{Judge, Pool, Purpose};
    use super::*;

    /// The certificates of a chain in DER, leaf first, its root last.
    fn chain(algorithm: &'static SignatureAlgorithm) -> [Vec<u8>; 3] {
        let key = || KeyPair::generate_for(algorithm).unwrap();
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let root = Issuer::new(authority("Root"), key());
        let middle_key = key();
        let middle = authority("Middle").signed_by(&middle_key, &root).unwrap();
        let root_der = authority("Root").self_signed(root.key()).unwrap();
        let issuer = Issuer::new(authority("Middle"), middle_key);
        let leaf = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key(), &issuer).unwrap();
        [&leaf, &middle, &root_der].map(|certificate| certificate.der().to_vec())
    }

    /// The chains that are found, or why there is none; certificates are read by `read`.
    fn verdict(
        chain: &[Vec<u8>; 3],
        read: impl Fn(&[u8]) -> Result<Arc<Certificate>, crate::ParseError>,
    ) -> String {
        let [leaf, middle, root] = chain;
        let mut roots = Pool::default();
        let presented = [leaf, middle].map(|der| read(der));
        let (Ok(root), [Ok(leaf), Ok(middle)]) = (read(root), &presented) else {
            return format!("{:?}", presented.map(|read| read.map(|c| c.fingerprint())));
        };
        roots.add(root);
        let judge = Judge {
            roots: &roots,
            host: "a.test",
            now: 1_800_000_000,
            purpose: Purpose::Server,
        };
        let verdict = judge.verify(&[Arc::clone(leaf), Arc::clone(middle)]);
        let chains = verdict.map(|chains| {
            let prints = chains
                .iter()
                .flatten()
                .map(|certificate| certificate.fingerprint());
            prints.collect::<Vec<_>>()
        });
        chains.map_or_else(|error| error.to_string(), |chains| chains.join(" "))
    }

    /// Nothing that was verified before changes what is said of damaged certificates, the same ones met again, or sound ones.
    #[test]
    fn what_is_remembered_changes_no_verdict() {
        let forget = || {
            let mut known = VERIFIED.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Recent::new(GENERATION);
        };
        let unread = |der: &[u8]| Certificate::parse(der).map(Arc::new);
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ED25519,
            &rcgen::PKCS_RSA_SHA256,
        ] {
            let sound = chain(algorithm);
            let want = verdict(&sound, Certificate::shared);
            assert_eq!(want.split(' ').count(), 3, "{want}");
            let (mut good, mut bad) = (0, 0);
            for which in 0..sound.len() {
                for at in (0..sound[which].len()).step_by(5) {
                    let mut damaged = sound.clone();
                    damaged[which][at] ^= 1 << (at % 8);
                    // With all that is known of the sound ones, and twice with what is known of these.
                    let remembered = [(); 3].map(|()| verdict(&damaged, Certificate::shared));
                    forget();
                    let fresh = verdict(&damaged, unread);
                    for remembered in remembered {
                        assert_eq!(remembered, fresh, "certificate {which}, byte {at}");
                    }
                    // A root's own signature is nobody's business.
                    let is_good = fresh.split(' ').count() == 3 && fresh.len() == want.len();
                    assert!(!is_good || which == 2, "certificate {which}, byte {at}: {fresh}");
                    if is_good {
                        good += 1
                    } else {
                        bad += 1
                    }
                    assert_eq!(verdict(&sound, Certificate::shared), want);
                }
            }
            assert!(good > 0 && bad > 100, "{good} good, {bad} bad");
        }
    }
}
