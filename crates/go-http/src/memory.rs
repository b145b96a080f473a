//! Memory for what a peer makes a client hold beyond the ordinary. Few compressed bytes become many fields; whoever uses
//! this crate may say that there is no room for them.

use std::any::Any;
use std::io;
use std::sync::OnceLock;

/// Memory that is set aside until this is dropped.
pub type Share = Box<dyn Any + Send + Sync>;

/// Sets so many bytes aside, or says why not.
pub type Take = fn(usize) -> io::Result<Share>;

static TAKE: OnceLock<Take> = OnceLock::new();

/// Has `take` asked before much is held, from now on and in the whole process.
pub fn take_with(take: Take) {
    let _ = TAKE.set(take);
}

/// What is held without being asked for: less than what any connection needs.
const ORDINARY: usize = 32 << 10;

/// What one exchange has set aside.
#[derive(Default)]
pub(crate) struct Held {
    shares: Vec<Share>,
    bytes: usize,
}

impl Held {
    /// Before so many bytes are held, all in all. Asks for twice as much each time, as lists grow.
    pub(crate) fn hold(&mut self, bytes: usize) -> io::Result<()> {
        if bytes <= self.bytes.max(ORDINARY) {
            return Ok(());
        }
        let Some(take) = TAKE.get() else {
            return Ok(());
        };
        let enough = bytes.checked_next_power_of_two().unwrap_or(bytes);
        self.shares.push(take(enough - self.bytes)?);
        self.bytes = enough;
        Ok(())
    }

    /// Nothing is held any more.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_asked_for_and_little_is_not() {
        // Whatever else runs in this process, at the same time perhaps, asks for less.
        const MOST: usize = 1 << (usize::BITS - 3);
        take_with(|bytes| match bytes {
            0..MOST => Ok(Box::new(())),
            _ => Err(io::ErrorKind::OutOfMemory.into()),
        });
        let mut held = Held::default();
        held.hold(ORDINARY).unwrap();
        assert_eq!(held.bytes, 0);
        held.hold(100_000).unwrap();
        held.hold(110_000).unwrap();
        assert_eq!((held.bytes, held.shares.len()), (1 << 17, 1));
        held.hold(MOST * 2).unwrap_err();
        held.hold(200_000).unwrap();
        assert_eq!((held.bytes, held.shares.len()), (1 << 18, 2));
        held.release();
        assert_eq!(held.bytes, 0);
    }
}
