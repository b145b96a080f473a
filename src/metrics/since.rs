use std::fmt;

/// The version that brought a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// A version of upstream, or of the libraries that this version was built with.
    Upstream(&'static str),
    /// A version of this exporter, or `unreleased`.
    Here(&'static str),
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(version) => write!(f, "upstream {version}"),
            Self::Here(version) => f.write_str(version),
        }
    }
}
