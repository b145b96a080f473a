//! What one kind of use has taken of its share. `tests/model` tries every order in which threads can do this.

use super::sync::{AtomicU64, AtomicUsize, Ordering};

/// The share of one kind of use.
#[derive(Debug)]
pub(super) struct Pool {
    /// How many bytes it has.
    pub(super) most: usize,
    taken: AtomicUsize,
    refused: AtomicU64,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhausted {
    /// The share is used up.
    Share,
    /// The process has no more.
    Process,
}

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            taken: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Takes so many bytes if the share has them and `has_room` says that the process has, too.
    pub(super) fn take(&self, bytes: usize, has_room: impl FnOnce() -> bool) -> Result<(), Exhausted> {
        // Never more than there is, not even for a moment: others would be refused.
        let more = |taken: usize| taken.checked_add(bytes).filter(|all| *all <= self.most);
        let taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let refused = match taken {
            Err(_) => Exhausted::Share,
            Ok(_) if has_room() => return Ok(()),
            Ok(_) => {
                self.give(bytes);
                Exhausted::Process
            }
        };
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(refused)
    }

    /// Gives bytes back; more than were taken when they were taken before there was a limit.
    pub(super) fn give(&self, bytes: usize) {
        let less = |taken: usize| Some(taken.saturating_sub(bytes));
        let _ = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// What is left.
    pub(super) fn left(&self) -> usize {
        self.most.saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// How often nothing was taken.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
