//! The hosts file.

use std::collections::HashMap;
use std::io;

use gostd::address::Address;

/// Addresses by name, as Go's `net` reads `/etc/hosts`.
#[derive(Debug, Default)]
pub struct Hosts(HashMap<String, Vec<Address>>);

impl Hosts {
    /// From the text of the file; none if there is no such file.
    pub fn parse(text: io::Result<String>) -> Self {
        let mut by_name: HashMap<String, Vec<Address>> = HashMap::new();
        for line in text.unwrap_or_default().lines() {
            let line = line.split('#').next().unwrap_or("");
            let mut fields = fields(line);
            let Some(address) = fields.next().and_then(Address::parse) else {
                continue;
            };
            for name in fields {
                by_name.entry(key(name)).or_default().push(address.clone());
            }
        }
        Self(by_name)
    }

    /// The addresses of a name, in the order of the file; case does not matter.
    pub fn addresses(&self, name: &str) -> &[Address] {
        self.0.get(&key(name)).map_or(&[], Vec::as_slice)
    }
}

/// A name with dots is taken as a full one; `localhost` and `localhost.` are different, as in Go.
fn key(name: &str) -> String {
    let mut key = name.to_ascii_lowercase();
    if key.contains('.') && !key.ends_with('.') {
        key.push('.');
    }
    key
}

/// The fields of a line, split as Go's `getFields` does.
pub fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '\r', '\t', '\n']).filter(|f| !f.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_go_finds_them() {
        let hosts = Hosts::parse(Ok(concat!(
            "127.0.0.1 localhost\tlocal.Test # comment\n",
            "::1 localhost\r\n",
            "# 127.0.0.9 nobody\n",
            "127.1 short\n",
            "fe80::1%lo scoped\n",
            "::ffff:127.0.0.2 mapped\n",
            "127.0.0.3\n",
        )
        .to_owned()));
        let rows: &[(&str, &[&str])] = &[
            ("localhost", &["127.0.0.1", "::1"]),
            ("LocalHost", &["127.0.0.1", "::1"]),
            ("localhost.", &[]),
            ("local.test", &["127.0.0.1"]),
            ("local.test.", &["127.0.0.1"]),
            ("nobody", &[]),
            ("short", &[]),
            ("scoped", &["fe80::1%lo"]),
            ("mapped", &["127.0.0.2"]),
            ("", &[]),
        ];
        for (name, want) in rows {
            let got: Vec<String> = hosts.addresses(name).iter().map(ToString::to_string).collect();
            assert_eq!(got, *want, "{name:?}");
        }
        assert!(
            Hosts::parse(Err(io::ErrorKind::NotFound.into()))
                .addresses("localhost")
                .is_empty()
        );
    }
}
