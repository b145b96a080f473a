//! Passwords: HTTP basic authentication against bcrypt hashes.
//!
//! bcrypt is slow on purpose. It runs off the async threads, one at a time as upstream and in the order of
//! [`turns`](super::turns), and what it said is remembered under a keyed digest, so that a scraper waits for it once.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::config::Secret;
use crate::server::connections::requests::Requests;
use crate::server::connections::shares::party;

use super::hash::{self, Hash};
use super::turns::{Digest, Turns};

/// How many verdicts are remembered.
const REMEMBERED: usize = 100;

/// A user name and a password.
#[derive(Debug)]
pub struct Login {
    user: String,
    password: Zeroizing<Vec<u8>>,
}

/// Reads an `Authorization` header.
pub fn credentials(header: &HeaderValue) -> Option<Login> {
    let header = header.as_bytes();
    let (scheme, encoded) = header.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(Login {
        // A name that is not UTF-8 is nobody's.
        user: String::from_utf8_lossy(decoded.get(..colon)?).into_owned(),
        password: Zeroizing::new(decoded.get(colon + 1..)?.to_vec()),
    })
}

/// What came of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordVerdict {
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
    turns: Turns,
}

impl Verdicts {
    /// Nothing is remembered yet.
    pub fn new() -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            remembered: Arc::default(),
            turns: Turns::default(),
        }
    }

    /// Whether the password that comes with a request is right. A request that waits for its turn ends with its caller.
    pub async fn judge(
        &self,
        users: &BTreeMap<String, Secret>,
        credentials: Login,
        requests: &Requests,
    ) -> PasswordVerdict {
        let hash = users.get(&credentials.user).map(Secret::expose);
        let digest = self.digest(&credentials, hash.unwrap_or_default());
        if let Some(right) = self.remembered.recall(&digest) {
            return verdict(right);
        }
        let address = party(requests.caller().address);
        let mut take = pin!(self.turns.take(address, &credentials.user, digest));
        let turn = match take.as_mut().now_or_never() {
            Some(turn) => turn,
            None => {
                let _in_queue = requests.wait_for_turn();
                take.await
            }
        };
        let Some(turn) = turn else {
            return PasswordVerdict::Busy;
        };
        // The same password may have been judged while this one waited.
        if let Some(right) = self.remembered.recall(&digest) {
            return verdict(right);
        }
        let hash = hash.map(|hash| Zeroizing::new(hash.to_owned()));
        let dearest = users.values().filter_map(|hash| hash::cost(hash.expose())).max();
        let (remembered, turns) = (Arc::clone(&self.remembered), self.turns.clone());
        let judged = tokio::task::spawn_blocking(move || {
            let hash = hash.as_ref().map(|hash| hash.as_str());
            let right = verify(&credentials.password, hash, dearest.unwrap_or_default());
            remembered.remember(digest, right);
            turns.judged(address, digest, right);
            // bcrypt cannot be cancelled: the turn lasts until it returns, even if the caller has left.
            drop(turn);
            right
        });
        verdict(judged.await.unwrap_or(false))
    }

    fn digest(&self, credentials: &Login, hash: &str) -> Digest {
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

/// Judges a password, in a time that does not depend on the user: that of the dearest hash of all. A round more doubles
/// the time, so what a cheaper hash leaves is one more judgement of its cost, and of every cost up to the dearest.
fn verify(password: &[u8], hash: Option<&str>, dearest: u32) -> bool {
    let spend = |cost: u32| std::hint::black_box(bcrypt::bcrypt(cost.min(31), [0; 16], b"nobody"));
    let Some(hash) = hash.and_then(Hash::parse) else {
        // Nobody has that name, or no password is theirs.
        spend(dearest);
        return false;
    };
    let right = hash.is_of(password);
    for cost in hash.cost()..dearest {
        spend(cost);
    }
    right
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

fn verdict(right: bool) -> PasswordVerdict {
    if right {
        PasswordVerdict::Right
    } else {
        PasswordVerdict::Wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::connections::requests::Abandoned;

    fn given(user: &str, password: &str) -> Login {
        let header = format!("bAsIc {}", STANDARD.encode(format!("{user}:{password}")));
        credentials(&HeaderValue::from_str(&header).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn judges_and_remembers() {
        let hash = bcrypt::hash("open: sesame", 4).unwrap();
        let users = BTreeMap::from([("ann".to_owned(), Secret::new(hash))]);
        let verdicts = Verdicts::new();
        let requests = Requests::alone(Abandoned::IsAnswered);
        let judge =
            async |users, user, password| verdicts.judge(users, given(user, password), &requests).await;
        let nobody = BTreeMap::new();
        for _ in 0..2 {
            assert_eq!(judge(&users, "ann", "open: sesame").await, PasswordVerdict::Right);
            assert_eq!(judge(&users, "ann", "open").await, PasswordVerdict::Wrong);
        }
        assert_eq!(verdicts.remembered.0.lock().unwrap().len(), 2);
        assert_eq!(
            judge(&nobody, "ann", "open: sesame").await,
            PasswordVerdict::Wrong
        );
        assert_eq!(judge(&users, "eve", "fakepassword").await, PasswordVerdict::Wrong);
    }

    #[tokio::test]
    async fn who_leaves_before_the_verdict_keeps_its_turn() {
        // Slow enough to be under way when it is looked at.
        let hash = "$2y$12$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
        let users = BTreeMap::from([("ann".to_owned(), Secret::new(hash.to_owned()))]);
        let verdicts = Verdicts::new();
        let requests = Requests::alone(Abandoned::IsAnswered);
        let judge = |password: String| verdicts.judge(&users, given("ann", &password), &requests);
        // Whose password is being judged may close its side.
        let mut first = Box::pin(judge("open 0".to_owned()));
        assert_eq!(first.as_mut().now_or_never(), None);
        assert!(!requests.ends_with_caller());
        // Those who leave before their turn wait no more.
        for guess in 1..200_u8 {
            let mut next = Box::pin(judge(format!("open {guess}")));
            assert_eq!(next.as_mut().now_or_never(), None);
            assert!(requests.ends_with_caller());
            drop(next);
            assert!(!requests.ends_with_caller());
        }
        drop(first);
        assert!(verdicts.remembered.0.lock().unwrap().is_empty());
        // What was found out is kept, though nobody waited for it.
        assert_eq!(judge("open".to_owned()).await, PasswordVerdict::Wrong);
        assert_eq!(verdicts.remembered.0.lock().unwrap().len(), 2);
    }

    #[test]
    fn every_user_takes_the_time_of_the_dearest_hash() {
        let password = b"open sesame".as_slice();
        let hash = |cost| bcrypt::hash("open sesame", cost).unwrap();
        assert!(verify(password, Some(&hash(4)), 9));
        assert!(!verify(password, None, 9));
        // In rounds, which are what takes the time.
        let rounds = |cost: u32| (1 << cost) + (cost..12).map(|cost| 1_u32 << cost).sum::<u32>();
        assert_eq!((4..12).map(rounds).collect::<Vec<_>>(), [1 << 12; 8]);
        let time = |hash: Option<&str>| {
            let start = std::time::Instant::now();
            verify(b"wrong", hash, 9);
            start.elapsed().as_secs_f64()
        };
        let (cheap, dear) = (hash(4), hash(9));
        let fastest = |hash: Option<&str>| (0..5).map(|_| time(hash)).fold(f64::INFINITY, f64::min);
        let times = [Some(&*cheap), Some(&*dear), None].map(fastest);
        let (least, most) = (
            times.iter().copied().fold(f64::INFINITY, f64::min),
            times.iter().copied().fold(0.0, f64::max),
        );
        // A hash of cost 4 alone would take the thirty-second part. What else runs must not decide.
        assert!(most < 8.0 * least, "{times:?}");
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
}
