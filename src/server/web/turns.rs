//! Whose password is judged next. bcrypt is slow on purpose and one password is judged at a time, so that guessing keeps
//! no more than one thread busy; the order keeps those who guess from keeping out those who know.
//!
//! Addresses take turns, and so do the users of one. Every other turn is for those who are likely to know their password:
//! whose address had a right one before, or who come with the same one again after they waited without a turn, as a scraper does
//! and somebody who guesses does not.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Maximum requests that wait. Beyond it, the newest is refused of the address from which most wait.
const WAITING: usize = 1024;
/// How many addresses with a right password, and how many passwords that waited without a turn, are remembered.
const REMEMBERED: usize = 1024;

/// A digest of user and password.
pub type Digest = [u8; 32];

/// The queue.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    judging: bool,
    /// Whether the latest turn was one for those who are likely to know.
    favoured: bool,
    waiting: VecDeque<Waiting>,
    /// When an address, and a user of it, had its latest turn, in turns.
    turns: u64,
    addresses: HashMap<IpAddr, u64>,
    users: HashMap<(IpAddr, String), u64>,
    /// Who may be expected to know, oldest first.
    right: VecDeque<IpAddr>,
    came: VecDeque<Digest>,
}

#[derive(Debug)]
struct Waiting {
    address: IpAddr,
    user: String,
    favoured: bool,
    sender: oneshot::Sender<Turn>,
}

/// The turn to judge a password, until it is dropped.
#[derive(Debug)]
pub struct Turn(Turns);

impl Turns {
    /// Waits for a turn; `None` when too many do.
    pub async fn take(&self, address: IpAddr, user: &str, password: Digest) -> Option<Turn> {
        let turn = {
            let mut queue = self.lock();
            let again = queue.came.contains(&password);
            if !again {
                remember(&mut queue.came, password);
            }
            if !queue.judging {
                queue.judging = true;
                queue.note(address, user);
                return Some(Turn(self.clone()));
            }
            queue.waiting.retain(|waiting| !waiting.sender.is_closed());
            let (sender, turn) = oneshot::channel();
            let favoured = again || queue.right.contains(&address);
            queue.waiting.push_back(Waiting {
                address,
                user: user.to_owned(),
                favoured,
                sender,
            });
            if queue.waiting.len() > WAITING {
                queue.refuse_one();
            }
            turn
        };
        turn.await.ok()
    }

    /// A password was judged.
    pub fn judged(&self, address: IpAddr, password: Digest, right: bool) {
        let mut queue = self.lock();
        queue.came.retain(|came| *came != password);
        if right {
            queue.right.retain(|right| *right != address);
            remember(&mut queue.right, address);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) {
        let next = {
            let mut queue = self.lock();
            queue.judging = false;
            let Some(next) = queue.next() else {
                return;
            };
            queue.judging = true;
            next
        };
        // Who has left meanwhile gives its turn back here, to the next.
        drop(next.sender.send(Turn(self.clone())));
    }
}

impl Queue {
    fn next(&mut self) -> Option<Waiting> {
        self.waiting.retain(|waiting| !waiting.sender.is_closed());
        if self.waiting.is_empty() {
            self.addresses.clear();
            self.users.clear();
            return None;
        }
        self.favoured = !self.favoured;
        let next = self.waiting.iter().enumerate().min_by_key(|(index, waiting)| {
            let user = (waiting.address, waiting.user.clone());
            (
                waiting.favoured != self.favoured,
                self.addresses.get(&waiting.address).copied().unwrap_or(0),
                self.users.get(&user).copied().unwrap_or(0),
                *index,
            )
        });
        let next = next.map(|(index, _)| index)?;
        let next = self.waiting.remove(next)?;
        self.note(next.address, &next.user);
        Some(next)
    }

    fn note(&mut self, address: IpAddr, user: &str) {
        self.turns += 1;
        self.addresses.insert(address, self.turns);
        self.users.insert((address, user.to_owned()), self.turns);
        if self.users.len() > REMEMBERED {
            self.addresses.clear();
            self.users.clear();
        }
    }

    fn refuse_one(&mut self) {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for waiting in self.waiting.iter().filter(|waiting| !waiting.favoured) {
            *counts.entry(waiting.address).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        let newest = self.waiting.iter().rposition(|waiting| {
            most.is_none_or(|(address, _)| address == waiting.address && !waiting.favoured)
        });
        if let Some(index) = newest {
            self.waiting.remove(index);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.next();
    }
}

fn remember<T>(remembered: &mut VecDeque<T>, new: T) {
    if remembered.len() >= REMEMBERED {
        remembered.pop_front();
    }
    remembered.push_back(new);
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    type Waiter = std::pin::Pin<Box<dyn Future<Output = Option<Turn>>>>;

    fn wait(turns: &Turns, address: u8, password: u64) -> Waiter {
        let turns = turns.clone();
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&password.to_le_bytes());
        let mut waiter: Waiter = Box::pin(async move { turns.take(ip(address), "ann", digest).await });
        assert!(waiter.as_mut().now_or_never().is_none());
        waiter
    }

    #[tokio::test]
    async fn addresses_take_turns() {
        let turns = Turns::default();
        let first = turns.take(ip(1), "ann", [0; 32]).await.unwrap();
        let mut guesses: Vec<_> = (1..50).map(|guess| wait(&turns, 1, guess)).collect();
        let other = wait(&turns, 2, 50);
        drop(first);
        drop(other.await.unwrap());
        drop(guesses.remove(0).await.unwrap());
    }

    #[tokio::test]
    async fn who_comes_again_goes_before_new_guesses() {
        let turns = Turns::default();
        let first = turns.take(ip(1), "ann", [0; 32]).await.unwrap();
        let _guesses: Vec<_> = (1..50).map(|guess| wait(&turns, 1, guess)).collect();
        // Its timeout is over, and it comes again.
        drop(wait(&turns, 1, 50));
        let again = wait(&turns, 1, 50);
        drop(first);
        assert!(again.await.is_some());
    }

    #[tokio::test]
    async fn who_was_right_before_has_every_other_turn() {
        let turns = Turns::default();
        turns.judged(ip(2), [0; 32], true);
        let first = turns.take(ip(1), "ann", [0; 32]).await.unwrap();
        let mut guesses: Vec<_> = (1..5).map(|guess| wait(&turns, 1, guess)).collect();
        let known = [wait(&turns, 2, 6), wait(&turns, 2, 7)];
        drop(first);
        for known in known {
            drop(known.await.unwrap());
            drop(guesses.remove(0).await.unwrap());
        }
    }

    #[tokio::test]
    async fn the_queue_is_bounded_at_the_cost_of_who_fills_it() {
        let turns = Turns::default();
        let _first = turns.take(ip(1), "ann", [0; 32]).await.unwrap();
        let mut other = wait(&turns, 2, 1);
        let mut guesses: Vec<_> = (2..WAITING as u64 + 1)
            .map(|guess| wait(&turns, 1, guess))
            .collect();
        let late = turns.take(ip(1), "ann", [9; 32]);
        assert!(late.await.is_none());
        assert!(other.as_mut().now_or_never().is_none());
        assert!(
            guesses
                .iter_mut()
                .all(|guess| guess.as_mut().now_or_never().is_none())
        );
    }
}
