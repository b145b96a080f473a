//! Name constraints (RFC 5280, section 4.2.1.10): which names the certificates below a CA may have.
//!
//! A certificate may have thousands of names and a CA thousands of constraints. Constraints are sorted and looked up, never
//! compared one by one, and what was found out about two certificates counts for every chain they are in.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use gostd::strconv::quote_bytes;

use super::Certificate;
use super::name_constraints::{NameConstraints, Subtrees};
use super::uri::{self, Mailbox, is_domain};

/// How many names may be looked up in constraints for one verdict.
const MAX_LOOKUPS: usize = 250_000;

/// Checks the chains of one leaf. Borrows the certificates of all of them.
#[derive(Default)]
pub(super) struct Checker<'a> {
    limits: HashMap<Id, Limits<'a>>,
    names: HashMap<Id, Result<Names<'a>, String>>,
    /// By certificate and CA above it.
    verdicts: HashMap<(Id, Id), Result<(), String>>,
    lookups: usize,
}

/// Where a certificate is kept: the chains of one leaf share their certificates.
type Id = *const Certificate;

impl<'a> Checker<'a> {
    /// Checks all names of each certificate of a chain against the constraints of those above it; the error is Go's text.
    pub fn check(&mut self, chain: &'a [Arc<Certificate>]) -> Result<(), String> {
        for (place, certificate) in chain.iter().enumerate() {
            if certificate.extensions.san.is_none() {
                continue;
            }
            let above = chain.iter().skip(place + 1);
            let mut above = above
                .filter_map(|ca| Some((ca, ca.extensions.name_constraints.as_deref()?)))
                .peekable();
            if above.peek().is_none() {
                return Ok(());
            }
            let id = Arc::as_ptr(certificate);
            let names = self
                .names
                .entry(id)
                .or_insert_with(|| Names::of(certificate))
                .as_ref()
                .map_err(String::clone)?;
            for (ca, constraints) in above {
                let pair = (id, Arc::as_ptr(ca));
                let verdict = match self.verdicts.get(&pair) {
                    Some(verdict) => verdict.clone(),
                    None => {
                        self.lookups = self.lookups.saturating_add(names.count());
                        if self.lookups > MAX_LOOKUPS {
                            return Err("there are too many names and constraints to compare".to_owned());
                        }
                        let limits = self
                            .limits
                            .entry(pair.1)
                            .or_insert_with(|| Limits::of(ca, constraints));
                        let verdict = limits.allow(names);
                        self.verdicts.insert(pair, verdict.clone());
                        verdict
                    }
                };
                verdict?;
            }
        }
        Ok(())
    }
}

/// The names of a certificate, ready to be looked up.
struct Names<'a> {
    addresses: Vec<&'a [u8]>,
    dns: Vec<&'a str>,
    /// Each with its domain.
    uris: Vec<(&'a str, String)>,
    emails: Vec<Mailbox>,
}

impl<'a> Names<'a> {
    fn of(certificate: &'a Certificate) -> Result<Self, String> {
        let extensions = &certificate.extensions;
        let uri = |text: &'a str| Ok((text, uri::constrained_domain(text)?));
        let email = |text: &'a str| {
            let mut mailbox = Mailbox::parse(text)
                .ok_or_else(|| format!("cannot parse rfc822Name {}", quote_bytes(text)))?;
            mailbox.domain.make_ascii_lowercase();
            Ok::<_, String>(mailbox)
        };
        Ok(Self {
            addresses: extensions
                .addresses
                .iter()
                .map(|span| certificate.bytes(*span))
                .collect(),
            dns: certificate.dns_names().collect(),
            uris: certificate
                .texts(&extensions.uris)
                .map(uri)
                .collect::<Result<_, String>>()?,
            emails: certificate
                .texts(&extensions.emails)
                .map(email)
                .collect::<Result<_, _>>()?,
        })
    }

    fn count(&self) -> usize {
        self.addresses.len() + self.dns.len() + self.uris.len() + self.emails.len()
    }
}

/// The constraints of one CA, ready to be looked up.
struct Limits<'a> {
    permitted: Sets<'a>,
    excluded: Sets<'a>,
}

/// Subtrees by kind of name; `None` where there are none of that kind.
struct Sets<'a> {
    addresses: Option<Networks<'a>>,
    dns: Option<Domains<'a>>,
    uris: Option<Domains<'a>>,
    emails: Option<Mailboxes<'a>>,
}

/// What subtrees are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Permits,
    Excludes,
}

impl<'a> Limits<'a> {
    /// `constraints` are those of `ca`.
    fn of(ca: &'a Certificate, constraints: &'a NameConstraints) -> Self {
        Self {
            permitted: Sets::of(ca, &constraints.permitted, Effect::Permits),
            excluded: Sets::of(ca, &constraints.excluded, Effect::Excludes),
        }
    }

    /// Whether each name is in a permitted subtree (if there are any of its kind) and in no excluded one.
    fn allow(&self, names: &Names<'_>) -> Result<(), String> {
        let (permitted, excluded) = (&self.permitted, &self.excluded);
        for address in &names.addresses {
            let find = |set: &Networks<'_>| set.covering(address);
            let text = || address_text(address);
            judge(
                "IP address",
                text,
                &permitted.addresses,
                &excluded.addresses,
                find,
            )?;
        }
        for name in &names.dns {
            if !is_domain(name, false) {
                return Err(format!("x509: cannot parse dnsName {}", quote_bytes(name)));
            }
            let find = |set: &Domains<'_>| set.covering(name);
            judge(
                "DNS name",
                || (*name).to_owned(),
                &permitted.dns,
                &excluded.dns,
                find,
            )?;
        }
        for (uri, host) in &names.uris {
            if !is_domain(host, false) {
                let uri = quote_bytes(uri);
                return Err(format!("x509: internal error: URI SAN {uri} failed to parse"));
            }
            let find = |set: &Domains<'_>| set.covering(host);
            judge("URI", || (*uri).to_owned(), &permitted.uris, &excluded.uris, find)?;
        }
        for email in &names.emails {
            let find = |set: &Mailboxes<'_>| set.covering(email);
            judge(
                "email address",
                || email.to_string(),
                &permitted.emails,
                &excluded.emails,
                find,
            )?;
        }
        Ok(())
    }
}

/// The verdict on one name. `find` gives the text of a subtree that the name is in.
fn judge<S>(
    kind: &str,
    name: impl Fn() -> String,
    permitted: &Option<S>,
    excluded: &Option<S>,
    find: impl Fn(&S) -> Option<String>,
) -> Result<(), String> {
    if permitted.as_ref().is_some_and(|set| find(set).is_none()) {
        let name = quote_bytes(name());
        return Err(format!("{kind} {name} is not permitted by any constraint"));
    }
    match excluded.as_ref().and_then(find) {
        Some(constraint) => {
            let (name, constraint) = (quote_bytes(name()), quote_bytes(constraint));
            Err(format!("{kind} {name} is excluded by constraint {constraint}"))
        }
        None => Ok(()),
    }
}

impl<'a> Sets<'a> {
    fn of(ca: &'a Certificate, subtrees: &'a Subtrees, effect: Effect) -> Self {
        Self {
            addresses: Networks::new(subtrees.addresses.iter().map(|span| ca.bytes(*span)).collect()),
            dns: Domains::new(ca.texts(&subtrees.dns).collect(), effect),
            uris: Domains::new(ca.texts(&subtrees.uris).collect(), effect),
            emails: Mailboxes::new(ca.texts(&subtrees.emails).collect(), effect),
        }
    }
}

/// Networks: an address is in few of the 162 sizes that there are, so each size is looked up.
struct Networks<'a> {
    /// From the largest network to the smallest.
    masks: Vec<&'a [u8]>,
    /// By base and mask.
    by_base: HashMap<(Vec<u8>, &'a [u8]), &'a [u8]>,
}

impl<'a> Networks<'a> {
    /// Each an address and a mask of the same length.
    fn new(networks: Vec<&'a [u8]>) -> Option<Self> {
        let mut masks = Vec::new();
        let mut by_base = HashMap::with_capacity(networks.len());
        for network in &networks {
            let (base, mask) = network.split_at(network.len() / 2);
            masks.push(mask);
            by_base.entry((masked(base, mask), mask)).or_insert(*network);
        }
        masks.sort_unstable();
        masks.dedup();
        (!networks.is_empty()).then_some(Self { masks, by_base })
    }

    fn covering(&self, address: &[u8]) -> Option<String> {
        let own = self.masks.iter().filter(|mask| mask.len() == address.len());
        own.filter_map(|mask| self.by_base.get(&(masked(address, mask), *mask)))
            .map(|network| network_text(network))
            .next()
    }
}

fn masked(address: &[u8], mask: &[u8]) -> Vec<u8> {
    address.iter().zip(mask).map(|(byte, mask)| byte & mask).collect()
}

/// Domains and what is below them.
struct Domains<'a> {
    /// There is an empty one, which every name is in.
    all: bool,
    /// Each as a [`key`] and as it is written, sorted; none is within another.
    sorted: Vec<(Vec<u8>, &'a str)>,
    /// What a wildcard could stand for: excluded domains, in lower case, by what is behind their first label.
    behind: HashMap<String, String>,
}

impl<'a> Domains<'a> {
    fn new(domains: Vec<&'a str>, effect: Effect) -> Option<Self> {
        if domains.is_empty() {
            return None;
        }
        let all = domains.contains(&"");
        let mut sorted: Vec<_> = domains.into_iter().map(|domain| (key(domain), domain)).collect();
        sorted.sort();
        // Whatever is within a domain follows it.
        sorted.dedup_by(|inner, outer| covers(&outer.0, &inner.0));
        let wildcards = sorted.iter().filter(|_| effect == Effect::Excludes);
        let behind = wildcards.filter_map(|(_, domain)| {
            let domain = domain.to_ascii_lowercase();
            Some((behind_first_label(&domain)?.to_owned(), domain))
        });
        let behind = behind.collect();
        Some(Self { all, sorted, behind })
    }

    fn covering(&self, name: &str) -> Option<String> {
        if self.all {
            return Some(String::new());
        }
        let key = key(name);
        let not_after = self.sorted.partition_point(|(domain, _)| *domain <= key);
        let nearest = not_after.checked_sub(1).and_then(|at| self.sorted.get(at));
        if let Some((domain, text)) = nearest
            && covers(domain, &key)
        {
            return Some((*text).to_owned());
        }
        if !name.starts_with('*') {
            return None;
        }
        let name = name.to_ascii_lowercase();
        self.behind.get(behind_first_label(&name)?).cloned()
    }
}

/// A domain from its end, so that what is below it begins with it: without case, and dots before everything else, so that
/// nothing comes between a domain and what is below it.
fn key(domain: &str) -> Vec<u8> {
    let fold = |byte: u8| {
        if byte == b'.' {
            0
        } else {
            byte.to_ascii_lowercase()
        }
    };
    domain.bytes().rev().map(fold).collect()
}

/// Whether the name of this key is the domain of that key or below it. A domain that begins with a dot wants at least one label more.
fn covers(domain: &[u8], name: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(domain) else {
        return false;
    };
    matches!((domain.last(), rest.first()), (Some(0), _) | (_, None | Some(0)))
}

fn behind_first_label(name: &str) -> Option<&str> {
    name.find('.').and_then(|dot| name.get(dot..))
}

/// Whole addresses, and domains of addresses.
struct Mailboxes<'a> {
    exact: HashSet<Mailbox>,
    domains: Option<Domains<'a>>,
}

impl<'a> Mailboxes<'a> {
    fn new(constraints: Vec<&'a str>, effect: Effect) -> Option<Self> {
        if constraints.is_empty() {
            return None;
        }
        let (exact, domains): (Vec<&str>, Vec<&str>) = constraints.into_iter().partition(|c| c.contains('@'));
        let exact = exact.into_iter().filter_map(Mailbox::parse).map(|mut mailbox| {
            mailbox.domain.make_ascii_lowercase();
            mailbox
        });
        Some(Self {
            exact: exact.collect(),
            domains: Domains::new(domains, effect),
        })
    }

    fn covering(&self, mailbox: &Mailbox) -> Option<String> {
        if self.exact.contains(mailbox) {
            return Some(mailbox.to_string());
        }
        self.domains.as_ref()?.covering(&mailbox.domain)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

fn address_text(bytes: &[u8]) -> String {
    let ip = match bytes {
        [a, b, c, d] => IpAddr::from([*a, *b, *c, *d]),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap_or_default()).to_canonical(),
    };
    ip.to_string()
}

fn network_text(network: &[u8]) -> String {
    let (base, mask) = network.split_at(network.len() / 2);
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    format!("{}/{ones}", address_text(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        let rows: &[(&[&str], &str, Option<&str>)] = &[
            (&["example.com"], "example.com", Some("example.com")),
            (&["example.COM"], "EXAMPLE.com", Some("example.COM")),
            (&["example.com"], "a.example.com", Some("example.com")),
            (&["example.com"], "aexample.com", None),
            (&[".example.com"], "example.com", None),
            (&[".example.com"], "b.a.example.com", Some(".example.com")),
            (&["example.com"], "com", None),
            (&["a.com", ""], "anything", Some("")),
            // The widest counts, whatever stands between it and the name.
            (
                &["a.a.com", "a-a.com", "a.com", "xa.com"],
                "b.a.a.com",
                Some("a.com"),
            ),
            (&["a.com", "za.com", "a-a.com"], "a-a.com", Some("a-a.com")),
            (&["b.com", "a.com"], "c.com", None),
        ];
        for (constraints, name, want) in rows {
            let set = Domains::new(constraints.to_vec(), Effect::Permits).unwrap();
            assert_eq!(
                set.covering(name).as_deref(),
                *want,
                "{name} under {constraints:?}"
            );
        }
        assert!(Domains::new(Vec::new(), Effect::Permits).is_none());
    }

    #[test]
    fn wildcards_may_not_stand_for_what_is_excluded() {
        let set = |effect| Domains::new(vec!["Foo.example.com"], effect).unwrap();
        let excluded = set(Effect::Excludes);
        assert_eq!(
            excluded.covering("*.Example.com").as_deref(),
            Some("foo.example.com")
        );
        assert_eq!(excluded.covering("*.bar.example.com"), None);
        assert_eq!(excluded.covering("a.example.com"), None);
        assert_eq!(set(Effect::Permits).covering("*.example.com"), None);
    }

    #[test]
    fn networks() {
        let ten: &[u8] = &[10, 5, 0, 0, 255, 0, 0, 0];
        let ten_one: &[u8] = &[10, 1, 0, 0, 255, 255, 0, 0];
        let set = Networks::new(vec![ten_one, ten]).unwrap();
        assert_eq!(set.covering(&[10, 1, 2, 3]).as_deref(), Some("10.5.0.0/8"));
        assert_eq!(set.covering(&[11, 1, 2, 3]), None);
        assert_eq!(set.covering(&[10; 16]), None);
    }
}
