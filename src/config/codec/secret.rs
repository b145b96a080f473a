//! A text that must never be printed.

use std::fmt;

use zeroize::Zeroize;

/// Why no secret can be had by its name in a secret manager (`username_ref` and its kin): exporters have no manager.
pub const WITHOUT_MANAGER: &str = "cannot use secret ref without manager";

/// A secret of the configuration: `Debug` prints `<secret>`, memory is wiped when it is dropped.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the place that sends it and no other.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing was configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
