//! Whose password is judged next. bcrypt is slow on purpose and one password is judged at a time, so that guessing keeps
//! no more than one thread busy; the order keeps those who guess from keeping out those who know.
//!
//! Addresses take turns, and so do the users of one. Every other turn is for those who are likely to know their password:
//! whose address had a right one before, or who come with the same one again after they waited without a turn, as a scraper does
//! and somebody who guesses does not.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::server::connections::shares::{Rule, Share, Shares, Taken};

/// How many addresses with a right password, and how many passwords that waited without a turn, are remembered.
const REMEMBERED: usize = 1024;

/// A digest of user and password.
pub type Digest = [u8; 32];
/// The turn to judge a password, until it is dropped.
pub type Turn = Share<Order>;

/// The queue.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Shares<Order>>);

/// The order of turns.
#[derive(Debug, Default)]
pub struct Order(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// Whether the latest turn was one for those who are likely to know.
    favoured: bool,
    /// When an address, and a user of it, had its latest turn, in turns.
    turns: usize,
    addresses: HashMap<IpAddr, usize>,
    users: HashMap<(IpAddr, String), usize>,
    /// Who may be expected to know, oldest first.
    right: VecDeque<IpAddr>,
    came: VecDeque<Digest>,
}

/// Who waits.
#[derive(Debug)]
pub struct Waiter {
    user: String,
    favoured: bool,
}

impl Turns {
    /// Waits for a turn; `None` when too many do.
    pub async fn take(&self, address: IpAddr, user: &str, password: Digest) -> Option<Turn> {
        let user = user.to_owned();
        let favoured = {
            let mut memory = self.0.rule().memory();
            let again = memory.came.contains(&password);
            if !again {
                remember(&mut memory.came, password);
            }
            again || memory.right.contains(&address)
        };
        self.0.take(address, Waiter { user, favoured }).await
    }

    /// A password was judged.
    pub fn judged(&self, address: IpAddr, password: Digest, right: bool) {
        let mut memory = self.0.rule().memory();
        memory.came.retain(|came| *came != password);
        if right {
            memory.right.retain(|right| *right != address);
            remember(&mut memory.right, address);
        }
    }
}

impl Order {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule for Order {
    type Holder = ();
    type Waiter = Waiter;

    fn admits(&self, taken: &mut Taken<Self>, _: IpAddr) -> bool {
        taken.count() == 0
    }

    fn give(&self, address: IpAddr, waiter: &Waiter, has_waited: bool) {
        let memory = &mut *self.memory();
        memory.favoured ^= has_waited;
        if !has_waited || memory.users.len() > REMEMBERED {
            memory.addresses.clear();
            memory.users.clear();
        }
        memory.turns += 1;
        memory.addresses.insert(address, memory.turns);
        memory.users.insert((address, waiter.user.clone()), memory.turns);
    }

    fn rank(&self, _: &Taken<Self>, address: IpAddr, waiter: &Waiter) -> (bool, usize, usize) {
        let memory = self.memory();
        let user = (address, waiter.user.clone());
        (
            waiter.favoured == memory.favoured,
            memory.addresses.get(&address).copied().unwrap_or(0),
            memory.users.get(&user).copied().unwrap_or(0),
        )
    }

    fn is_refusable(waiter: &Waiter) -> bool {
        !waiter.favoured
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
    use crate::server::connections::shares::WAITING;

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
