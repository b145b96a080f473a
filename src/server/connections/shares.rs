//! What callers share: so many of something, each one's until its [`Share`] is dropped, and a bounded queue of those who wait. A
//! [`Rule`] says who may have one, and who is next: of connections ([`seats`](super::seats)), of open pages, and of passwords to be judged.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

/// Maximum callers that wait. Beyond it, the newest is refused of the party from which most wait.
pub const WAITING: usize = 1024;

/// How something is shared.
pub trait Rule: Debug + Sized {
    /// What is known of who has a share.
    type Holder: Debug;
    /// What is known of who waits for one.
    type Waiter: Debug;

    /// Whether a party may have a share now, perhaps because another [gives way](Taken::dismiss).
    fn admits(&self, taken: &mut Taken<Self>, party: IpAddr) -> bool;

    /// A party gets a share, at once or after it has waited.
    fn give(&self, party: IpAddr, waiter: &Self::Waiter, has_waited: bool) -> Self::Holder;

    /// The place in the queue: the lowest is next, of several the one that waits for longest.
    fn rank(&self, taken: &Taken<Self>, party: IpAddr, _: &Self::Waiter) -> (bool, usize, usize) {
        (false, taken.held_by(party), 0)
    }

    /// Whether one that waits may be refused while others wait that may.
    fn is_refusable(_: &Self::Waiter) -> bool {
        true
    }
}

/// All shares.
#[derive(Debug)]
pub struct Shares<R: Rule> {
    rule: R,
    /// Read without the lock by every request that ends.
    someone_waits: AtomicBool,
    taken: Mutex<Taken<R>>,
}

/// Who has shares, and who waits.
#[derive(Debug)]
pub struct Taken<R: Rule> {
    next: u64,
    count: usize,
    /// By party, in the order of their coming.
    by_party: HashMap<IpAddr, BTreeMap<u64, Arc<Holding<R>>>>,
    waiting: VecDeque<(IpAddr, R::Waiter, oneshot::Sender<Share<R>>)>,
}

#[derive(Debug)]
pub struct Holding<R: Rule> {
    holder: R::Holder,
    leave: Notify,
}

/// A share, until it is dropped.
#[derive(Debug)]
pub struct Share<R: Rule> {
    shares: Arc<Shares<R>>,
    party: IpAddr,
    number: u64,
    holding: Arc<Holding<R>>,
}

impl<R: Rule + Default> Default for Shares<R> {
    fn default() -> Self {
        Self::new(R::default())
    }
}

impl<R: Rule> Shares<R> {
    /// Nobody has a share.
    pub fn new(rule: R) -> Self {
        Self {
            rule,
            someone_waits: AtomicBool::new(false),
            taken: Mutex::new(Taken {
                next: 0,
                count: 0,
                by_party: HashMap::new(),
                waiting: VecDeque::new(),
            }),
        }
    }

    /// How they are shared.
    pub fn rule(&self) -> &R {
        &self.rule
    }

    /// A share for a caller; `None` when it must go. Waits when there is none.
    pub async fn take(self: &Arc<Self>, caller: IpAddr, waiter: R::Waiter) -> Option<Share<R>> {
        let party = party(caller);
        let next = {
            let mut taken = self.lock();
            if self.rule.admits(&mut taken, party) {
                return Some(self.give(&mut taken, party, &waiter, false));
            }
            let (sender, next) = oneshot::channel();
            taken.waiting.retain(|(.., sender)| !sender.is_closed());
            taken.waiting.push_back((party, waiter, sender));
            if taken.waiting.len() > WAITING {
                taken.refuse_one();
            }
            self.someone_waits.store(true, Ordering::Relaxed);
            next
        };
        next.await.ok()
    }

    /// Sends all away that wait and are of the party from which most do; whether there were any.
    pub fn send_away(&self) -> bool {
        let mut taken = self.lock();
        let most = taken.waits_most();
        taken.waiting.retain(|(party, ..)| Some(*party) != most);
        most.is_some()
    }

    /// The holders that are wanted.
    pub fn holdings(&self, is_wanted: impl Fn(&R::Holder) -> bool) -> Vec<Arc<Holding<R>>> {
        let taken = self.lock();
        let all = taken.by_party.values().flat_map(BTreeMap::values);
        let wanted = all.filter(|holding| is_wanted(&holding.holder));
        wanted.cloned().collect()
    }

    /// A holder may give way: gives its share to the next that is admitted; whether there was one.
    pub fn let_one_in(self: &Arc<Self>) -> bool {
        self.someone_waits.load(Ordering::Relaxed) && self.give_next(self.lock())
    }

    fn give_next(self: &Arc<Self>, mut taken: MutexGuard<'_, Taken<R>>) -> bool {
        taken.waiting.retain(|(.., sender)| !sender.is_closed());
        let waiting = taken.waiting.iter().enumerate();
        let ranked = waiting
            .map(|(index, (party, waiter, _))| (self.rule.rank(&taken, *party, waiter), index, *party));
        let mut order: Vec<_> = ranked.collect();
        order.sort_unstable();
        let mut order = order.into_iter();
        let next = order.find(|(.., party)| self.rule.admits(&mut taken, *party));
        let next = next.and_then(|(_, index, _)| taken.waiting.remove(index));
        self.someone_waits
            .store(!taken.waiting.is_empty(), Ordering::Relaxed);
        let Some((party, waiter, sender)) = next else {
            return false;
        };
        let share = self.give(&mut taken, party, &waiter, true);
        drop(taken);
        // Who has gone meanwhile gives the share back here, to the next.
        drop(sender.send(share));
        true
    }

    fn give(
        self: &Arc<Self>,
        taken: &mut Taken<R>,
        party: IpAddr,
        waiter: &R::Waiter,
        has_waited: bool,
    ) -> Share<R> {
        let holding = Arc::new(Holding {
            holder: self.rule.give(party, waiter, has_waited),
            leave: Notify::new(),
        });
        let number = taken.next;
        taken.next += 1;
        taken.count += 1;
        let held = taken.by_party.entry(party).or_default();
        held.insert(number, Arc::clone(&holding));
        Share {
            shares: Arc::clone(self),
            party,
            number,
            holding,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken<R>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Rule> Taken<R> {
    /// How many shares there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many a party has.
    pub fn held_by(&self, party: IpAddr) -> usize {
        self.by_party.get(&party).map_or(0, BTreeMap::len)
    }

    /// How many of `most` are for each party, if this one has some, too.
    pub fn fair(&self, most: usize, party: IpAddr) -> usize {
        most / (self.by_party.len() + usize::from(self.held_by(party) == 0))
    }

    /// The party that has most.
    pub fn has_most(&self) -> Option<IpAddr> {
        let most = self.by_party.iter().max_by_key(|(_, held)| held.len());
        most.map(|(party, _)| *party)
    }

    /// Takes a party's share of the lowest rank away, of several the oldest; whether there was one. A holder without a rank keeps its own.
    pub fn dismiss(&mut self, party: IpAddr, rank: impl Fn(&R::Holder) -> Option<u64>) -> bool {
        let held = self.by_party.get(&party).into_iter().flatten();
        let ranked = held.filter_map(|(number, holding)| Some((rank(&holding.holder)?, *number)));
        let lost = ranked.min().and_then(|(_, number)| self.remove(party, number));
        lost.inspect(|holding| holding.leave()).is_some()
    }

    fn remove(&mut self, party: IpAddr, number: u64) -> Option<Arc<Holding<R>>> {
        let held = self.by_party.get_mut(&party)?;
        let holding = held.remove(&number)?;
        if held.is_empty() {
            self.by_party.remove(&party);
        }
        self.count -= 1;
        Some(holding)
    }

    /// The party from which most wait that may be refused.
    fn waits_most(&self) -> Option<IpAddr> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        let refusable = self
            .waiting
            .iter()
            .filter(|(_, waiter, _)| R::is_refusable(waiter));
        refusable.for_each(|(party, ..)| *counts.entry(*party).or_default() += 1);
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(party, _)| party)
    }

    fn refuse_one(&mut self) {
        let most = self.waits_most();
        let newest = self.waiting.iter().rposition(|(party, waiter, _)| {
            most.is_none_or(|most| most == *party && R::is_refusable(waiter))
        });
        newest.map(|index| self.waiting.remove(index));
    }
}

impl<R: Rule> Holding<R> {
    /// What is known of who has the share.
    pub fn holder(&self) -> &R::Holder {
        &self.holder
    }

    /// Tells whoever holds the share that it has [lost](Share::lost) it.
    pub fn leave(&self) {
        self.leave.notify_one();
    }
}

impl<R: Rule> Share<R> {
    /// All shares, of which this is one.
    pub fn shares(&self) -> &Arc<Shares<R>> {
        &self.shares
    }

    /// The address, or network, that has it.
    pub fn party(&self) -> IpAddr {
        self.party
    }

    /// What is known of who has it.
    pub fn holder(&self) -> &R::Holder {
        &self.holding.holder
    }

    /// Ready when it was taken away.
    pub fn lost(&self) -> Notified<'_> {
        self.holding.leave.notified()
    }
}

impl<R: Rule> Drop for Share<R> {
    fn drop(&mut self) {
        let mut taken = self.shares.lock();
        taken.remove(self.party, self.number);
        let _ = self.shares.give_next(taken);
    }
}

/// Those who are one caller as far as fairness goes: an IPv4 address, or a network of IPv6 of which every host has as
/// many addresses as it likes.
pub fn party(caller: IpAddr) -> IpAddr {
    match caller.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}
