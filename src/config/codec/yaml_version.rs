//! The two versions of Go's YAML package, which read and write the same text differently.

/// Which version of Go's YAML package is followed where they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum YamlVersion {
    /// go.yaml.in/yaml/v2, which reads the web configuration: a text in quotes is no truth value, null is the zero value, and
    /// `<<` may stand several times and is taken in where it stands. It writes steps of two, lists not indented below their key,
    /// and lines folded at 80 columns.
    V2,
    /// go.yaml.in/yaml/v3. It writes steps of four, lists indented, and lines never folded.
    V3,
}

impl YamlVersion {
    /// How many columns a level is indented.
    pub fn step(self) -> usize {
        match self {
            Self::V2 => 2,
            Self::V3 => 4,
        }
    }

    /// The column behind which lines are folded.
    pub fn width(self) -> usize {
        match self {
            Self::V2 => 80,
            Self::V3 => usize::MAX,
        }
    }
}
