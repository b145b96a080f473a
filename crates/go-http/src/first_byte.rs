//! When an answer began.

use tokio::time::Instant;

/// The moment of an answer's first byte, by a clock that is read as soon as the byte was.
pub struct FirstByte<'a> {
    at: Option<Instant>,
    clock: &'a (dyn Fn() -> Instant + Sync),
}

impl<'a> FirstByte<'a> {
    /// None came yet. The clock may be one that knows when the bytes arrived that the stream returned last.
    pub fn new(clock: &'a (dyn Fn() -> Instant + Sync)) -> Self {
        Self { at: None, clock }
    }

    /// Bytes of the answer were read.
    pub(crate) fn note(&mut self) {
        self.at.get_or_insert_with(self.clock);
    }

    /// When the first byte came, if one did.
    pub fn at(&self) -> Option<Instant> {
        self.at
    }
}

impl Default for FirstByte<'_> {
    fn default() -> Self {
        Self::new(&Instant::now)
    }
}
