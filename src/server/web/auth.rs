//! Passwords: HTTP basic authentication against bcrypt hashes.
//!
//! bcrypt is slow on purpose. It runs off the async threads, one at a time as upstream, and what it said is remembered
//! under a keyed digest, so that a scraper waits for it once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::config::Secret;
use crate::strconv::parse_uint;

/// How many verdicts are remembered.
const REMEMBERED: usize = 100;
/// How many requests may wait for bcrypt.
const WAITING: usize = 64;
/// The hash of a password that nobody has, so that an unknown user takes as long as a wrong password. Its cost is 10.
const NOBODY: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// A user name and a password.
#[derive(Debug)]
pub struct Credentials {
    user: String,
    password: Zeroizing<Vec<u8>>,
}

/// Reads an `Authorization` header.
pub fn credentials(header: &HeaderValue) -> Option<Credentials> {
    let header = header.as_bytes();
    let (scheme, encoded) = header.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(Credentials {
        // A name that is not UTF-8 is nobody's.
        user: String::from_utf8_lossy(decoded.get(..colon)?).into_owned(),
        password: Zeroizing::new(decoded.get(colon + 1..)?.to_vec()),
    })
}

/// What came of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the user's.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// Too many requests wait for a verdict.
    Busy,
}

/// Judges passwords and remembers.
#[derive(Debug)]
pub struct Verdicts {
    key: hmac::Key,
    remembered: Arc<Remembered>,
    waiting: Arc<Semaphore>,
    judging: Arc<Semaphore>,
}

impl Verdicts {
    /// Nothing is remembered yet.
    pub fn new() -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            remembered: Arc::default(),
            waiting: Arc::new(Semaphore::new(WAITING)),
            judging: Arc::new(Semaphore::new(1)),
        }
    }

    /// Whether the password is right.
    pub async fn judge(&self, users: &BTreeMap<String, Secret>, credentials: Credentials) -> Verdict {
        let known = users.get(&credentials.user);
        let hash = known.map_or(NOBODY, Secret::expose);
        let digest = self.digest(&credentials, hash);
        if let Some(right) = self.remembered.recall(&digest) {
            return verdict(right && known.is_some());
        }
        let Ok(waiting) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return Verdict::Busy;
        };
        // Never closed.
        let Ok(judging) = Arc::clone(&self.judging).acquire_owned().await else {
            return Verdict::Busy;
        };
        // The same password may have been judged while this one waited.
        let right = match self.remembered.recall(&digest) {
            Some(right) => right,
            None => {
                let hash = Zeroizing::new(hash.to_owned());
                let remembered = Arc::clone(&self.remembered);
                let judged = tokio::task::spawn_blocking(move || {
                    // bcrypt goes on when the caller leaves: until it is done, it is nobody else's turn.
                    let _turn = (waiting, judging);
                    let right = bcrypt::verify(&*credentials.password, &hash).unwrap_or(false);
                    remembered.remember(digest, right);
                    right
                });
                judged.await.unwrap_or(false)
            }
        };
        verdict(right && known.is_some())
    }

    fn digest(&self, credentials: &Credentials, hash: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [
            credentials.user.as_bytes(),
            hash.as_bytes(),
            &credentials.password,
        ] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        // Invariant: SHA-256 has 32 bytes.
        context.sign().as_ref().try_into().unwrap_or_default()
    }
}

/// What bcrypt said, under keyed digests.
#[derive(Debug, Default)]
struct Remembered(Mutex<HashMap<[u8; 32], bool>>);

impl Remembered {
    fn recall(&self, digest: &[u8; 32]) -> Option<bool> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(digest).copied()
    }

    fn remember(&self, digest: [u8; 32], right: bool) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            // Wrong ones first: whoever guesses passwords must not push out those of the scrapers.
            let wrong = remembered
                .iter()
                .find(|(_, right)| !**right)
                .map(|(digest, _)| *digest);
            let any = remembered.keys().next().copied();
            if let Some(digest) = wrong.or(any) {
                remembered.remove(&digest);
            }
        }
        remembered.insert(digest, right);
    }
}

fn verdict(right: bool) -> Verdict {
    if right { Verdict::Right } else { Verdict::Wrong }
}

/// Whether every hash is one of bcrypt's.
///
/// # Errors
/// The first that is not, in the words of Go's `x/crypto/bcrypt`.
pub fn check_hashes(users: &BTreeMap<String, Secret>) -> Result<(), String> {
    users.values().try_for_each(|hash| check_hash(hash.expose()))
}

fn check_hash(hash: &str) -> Result<(), String> {
    let bytes = hash.as_bytes();
    if bytes.len() < 59 {
        return Err("crypto/bcrypt: hashedSecret too short to be a bcrypted password".to_owned());
    }
    let [prefix, major, minor, ..] = bytes else {
        return Ok(());
    };
    if *prefix != b'$' {
        // Upstream names the first letter, which is one of the password's when it stands there in the clear.
        return Err("crypto/bcrypt: bcrypt hashes must start with '$'".to_owned());
    }
    if *major > b'2' {
        return Err(
            "crypto/bcrypt: bcrypt algorithm version requested is newer than current version '2'".to_owned(),
        );
    }
    let start = if *minor == b'$' { 3 } else { 4 };
    let cost = hash.get(start..start + 2).unwrap_or_default();
    let number = parse_uint(cost, false)
        .map_err(|_| "crypto/bcrypt: the cost of a hash must be a number of two digits".to_owned())?;
    if !(4..=31).contains(&number) {
        return Err(format!(
            "crypto/bcrypt: cost {number} is outside allowed inclusive range 4..31"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn given(user: &str, password: &str) -> Credentials {
        let header = format!("bAsIc {}", STANDARD.encode(format!("{user}:{password}")));
        credentials(&HeaderValue::from_str(&header).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn judges_and_remembers() {
        let hash = bcrypt::hash("open: sesame", 4).unwrap();
        let users = BTreeMap::from([("ann".to_owned(), Secret::new(hash))]);
        let verdicts = Verdicts::new();
        for _ in 0..2 {
            assert_eq!(
                verdicts.judge(&users, given("ann", "open: sesame")).await,
                Verdict::Right
            );
            assert_eq!(verdicts.judge(&users, given("ann", "open")).await, Verdict::Wrong);
        }
        assert_eq!(verdicts.remembered.0.lock().unwrap().len(), 2);
        assert_eq!(
            verdicts
                .judge(&BTreeMap::new(), given("ann", "open: sesame"))
                .await,
            Verdict::Wrong
        );
        assert_eq!(
            verdicts.judge(&users, given("eve", "fakepassword")).await,
            Verdict::Wrong
        );
    }

    #[tokio::test]
    async fn who_leaves_before_the_verdict_keeps_its_turn() {
        // Slow enough to be under way when it is looked at.
        let hash = "$2y$12$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
        let users = BTreeMap::from([("ann".to_owned(), Secret::new(hash.to_owned()))]);
        let verdicts = Verdicts::new();
        assert_eq!(verdicts.judge(&users, given("ann", "open")).now_or_never(), None);
        assert_eq!(verdicts.judging.available_permits(), 0);
        assert_eq!(verdicts.waiting.available_permits(), WAITING - 1);
        // Those who leave before their turn wait no more.
        for guess in 0..200_u8 {
            let guess = given("ann", &format!("open {guess}"));
            assert_eq!(verdicts.judge(&users, guess).now_or_never(), None);
        }
        assert_eq!(verdicts.waiting.available_permits(), WAITING - 1);
        // What was found out is kept, though nobody waited for it.
        assert_eq!(verdicts.judge(&users, given("ann", "open")).await, Verdict::Wrong);
        assert_eq!(verdicts.remembered.0.lock().unwrap().len(), 1);
        assert_eq!(verdicts.waiting.available_permits(), WAITING);
    }

    #[test]
    fn a_hundred_guesses_do_not_push_out_who_may_enter() {
        let remembered = Remembered::default();
        remembered.remember([255; 32], true);
        for guess in 0..200_u8 {
            remembered.remember([guess; 32], false);
        }
        assert_eq!(remembered.recall(&[255; 32]), Some(true));
        assert_eq!(remembered.0.lock().unwrap().len(), REMEMBERED);
    }

    #[test]
    fn odd_headers_are_no_credentials() {
        for header in ["", "Basic", "Basic ", "Basic !!!", "Bearer YTpi", "Basic YQ=="] {
            let header = HeaderValue::from_str(header).unwrap();
            assert!(credentials(&header).is_none(), "{header:?}");
        }
    }

    #[test]
    fn hashes_are_checked_as_by_go() {
        assert!(check_hash("open sesame").unwrap_err().contains("too short"));
        assert!(
            check_hash(&"x".repeat(60))
                .unwrap_err()
                .contains("must start with '$'")
        );
        assert!(
            check_hash("$2b$99$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy")
                .unwrap_err()
                .contains("cost 99")
        );
        assert!(check_hash("$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy").is_ok());
    }
}
