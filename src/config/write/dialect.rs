//! The two versions of Go's YAML package, which lay out the same text differently.

/// Which version of Go's YAML package writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Steps of two, lists not indented below their key, lines folded at 80 columns.
    V2,
    /// Steps of four, lists indented, lines never folded.
    V3,
}

impl Dialect {
    /// How many columns a level is indented.
    pub(super) fn step(self) -> usize {
        match self {
            Self::V2 => 2,
            Self::V3 => 4,
        }
    }

    /// The column behind which lines are folded.
    pub(super) fn width(self) -> usize {
        match self {
            Self::V2 => 80,
            Self::V3 => usize::MAX,
        }
    }
}
