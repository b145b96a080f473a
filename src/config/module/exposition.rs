//! Families that upstream does not have (ours): switched on for all modules by the block `exposition:`, and by fields of the
//! same names for one module, which count more.

use crate::config::codec::section::{Section, section};

macro_rules! switches {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        section! {
            /// The block `exposition:`, and what of it holds for a module.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct Exposition {
                $($(#[doc = $doc])+ omit $name: bool,)+
            }
        }

        section! {
            /// The fields of a module.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct OwnExposition {
                $($(#[doc = $doc])+ omit $name: Option<bool>,)+
            }
        }

        impl OwnExposition {
            /// The fields that say the same within any block.
            pub fn of(exposition: Exposition) -> Self {
                Self {
                    $($name: Some(exposition.$name),)+
                }
            }

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
    /// A series for each certificate, and the families of TLS that upstream leaves out for a prober.
    certificates,
}

impl Section for Exposition {}

impl Section for OwnExposition {}

#[cfg(test)]
mod tests {
    use crate::config;

    #[test]
    fn a_module_goes_before_the_block() {
        let text = "exposition: {certificates: true}\nmodules:\n  a: {prober: tcp}\n  b: {prober: tcp, certificates: false}\n";
        let parsed = config::parse(text);
        assert_eq!(parsed.problems, []);
        let exposes = |name: &str| {
            let module = parsed.config.modules[name].as_ref().unwrap();
            module.exposition.within(parsed.config.exposition).certificates
        };
        assert!(exposes("a") && !exposes("b"));
        let printed = config::write::config(&parsed.config);
        assert_eq!(config::parse(&printed).config, parsed.config, "{printed}");
        assert!(!config::write::config(&config::parse("modules: {}\n").config).contains("exposition"));
        let wrong = config::parse("modules: {}\nexposition: {certificate: true}\n");
        assert!(
            wrong.problems[0]
                .message
                .contains("field \"certificate\" not found")
        );
    }
}
