//! Families that upstream does not have (ours): switched on for all modules by the block `exposition:`, and by fields of the
//! same names for one module, which count more.

use super::decode::Section;
use super::value::section;

macro_rules! switches {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The block `exposition:`, and what of it holds for a module.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Exposition {
            $($(#[doc = $doc])+ pub $name: bool,)+
        }

        section!(Exposition {
            $(omit $name;)+
        });

        /// The fields of a module.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct OwnExposition {
            $($(#[doc = $doc])+ pub $name: Option<bool>,)+
        }

        section!(OwnExposition {
            $(omit $name;)+
        });

        impl OwnExposition {
            /// What holds for a module of a configuration with this block.
            pub fn within(self, block: Exposition) -> Exposition {
                Exposition {
                    $($name: self.$name.unwrap_or(block.$name),)+
                }
            }
        }
    };
}

switches! {
    /// `probe_failure_info`: why a probe failed.
    failure_reason,
    /// `probe_ip_info`: the address that was probed.
    resolved_address,
}

impl Section for Exposition {}

impl Section for OwnExposition {}
