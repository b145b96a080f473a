//! Certificate policies (RFC 5280, section 6.1, as updated by RFC 9618), for a verifier to whom any policy will do.
//!
//! Such a verifier refuses a chain only if one of its certificates demands an explicit policy and none is valid for the whole
//! chain, or if policies are mapped to or from `anyPolicy`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::Certificate;
use super::extensions::Policies;

/// 2.5.29.32.0
const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0];

/// A policy at one depth of the graph.
#[derive(Debug, Default)]
struct Node<'a> {
    /// Its parents' policies, one depth above.
    parents: Vec<&'a [u8]>,
    /// The policies that one depth below count as this one.
    expected: Vec<&'a [u8]>,
}

/// The valid policies of one depth.
type Stratum<'a> = BTreeMap<&'a [u8], Node<'a>>;

/// The valid policy graph, from the root of the chain downwards.
struct Graph<'a> {
    strata: Vec<Stratum<'a>>,
}

impl<'a> Graph<'a> {
    fn new() -> Self {
        Self {
            strata: vec![Stratum::from([(
                ANY,
                Node {
                    parents: Vec::new(),
                    expected: vec![ANY],
                },
            )])],
        }
    }

    fn leaves(&mut self) -> &mut Stratum<'a> {
        if self.strata.is_empty() {
            self.strata.push(Stratum::new());
        }
        // Invariant: not empty.
        #[allow(clippy::expect_used)]
        self.strata.last_mut().expect("a stratum was pushed")
    }

    fn insert(&mut self, policy: &'a [u8], parents: Vec<&'a [u8]>) {
        let expected = vec![policy];
        self.leaves().insert(policy, Node { parents, expected });
    }

    /// Takes the policies that a certificate asserts in as the next depth.
    fn descend(&mut self, asserted: &[&'a [u8]], any_counts: bool) {
        let mut by_expected: BTreeMap<&'a [u8], Vec<&'a [u8]>> = BTreeMap::new();
        for (policy, node) in self.leaves().iter() {
            for expected in &node.expected {
                by_expected.entry(expected).or_default().push(policy);
            }
        }
        let any_above = self.leaves().contains_key(ANY);
        self.strata.push(Stratum::new());
        for policy in asserted.iter().filter(|policy| **policy != ANY) {
            match by_expected.get(policy) {
                Some(parents) => self.insert(policy, parents.clone()),
                None if any_above => self.insert(policy, vec![ANY]),
                None => {}
            }
        }
        if any_counts && asserted.contains(&ANY) {
            for (expected, parents) in by_expected {
                if !self.leaves().contains_key(expected) {
                    self.insert(expected, parents);
                }
            }
        }
        self.prune();
    }

    /// Takes nodes without children out, below the root and above the leaves.
    fn prune(&mut self) {
        for depth in (1..self.strata.len().saturating_sub(1)).rev() {
            let parents: HashSet<&[u8]> = match self.strata.get(depth + 1) {
                Some(below) => below
                    .values()
                    .flat_map(|node| node.parents.iter().copied())
                    .collect(),
                None => HashSet::new(),
            };
            if let Some(stratum) = self.strata.get_mut(depth) {
                stratum.retain(|policy, _| parents.contains(policy));
            }
        }
    }

    /// Applies the policy mappings of a CA, if mapping is still allowed. `None` if one of them is forbidden.
    fn map(&mut self, mappings: &[(&'a [u8], &'a [u8])], allowed: bool) -> Option<()> {
        let mut by_issuer: BTreeMap<&'a [u8], Vec<&'a [u8]>> = BTreeMap::new();
        for (issuer, subject) in mappings {
            if !allowed {
                self.leaves().remove(issuer);
            } else if *issuer == ANY || *subject == ANY {
                return None;
            } else {
                by_issuer.entry(issuer).or_default().push(subject);
            }
        }
        self.prune();
        for (issuer, subjects) in by_issuer {
            let leaves = self.leaves();
            if let Some(node) = leaves.get_mut(issuer) {
                node.expected = subjects;
            } else if leaves.contains_key(ANY) {
                let parents = vec![ANY];
                let expected = subjects;
                leaves.insert(issuer, Node { parents, expected });
            }
        }
        Some(())
    }

    /// Whether any policy is valid for the whole chain.
    fn any_valid(&mut self) -> bool {
        let named = |(policy, node): (&&[u8], &Node<'_>)| *policy != ANY && node.parents == [ANY];
        self.strata.iter().flatten().any(named) || self.leaves().contains_key(ANY)
    }
}

/// Whether the policies of a chain (leaf first) are valid.
pub(super) fn valid(chain: &[Arc<Certificate>]) -> bool {
    let matters = |p: &Policies| p.require_explicit.is_some() || !p.mappings.is_empty();
    if chain.len() == 1 || !chain.iter().filter_map(|c| policies(c)).any(matters) {
        return true;
    }
    // The root is trusted as it is.
    let n = chain.len() - 1;
    let start = i64::try_from(n + 1).unwrap_or(i64::MAX);
    let (mut inhibit_any, mut explicit, mut mapping) = (start, start, start);
    let mut graph = Some(Graph::new());
    for (i, certificate) in chain.iter().enumerate().take(n).rev() {
        let own = policies(certificate);
        let self_issued = certificate.raw_issuer() == certificate.raw_subject();
        let asserted: Vec<&[u8]> = own
            .into_iter()
            .flat_map(|p| &p.asserted)
            .map(|s| certificate.bytes(*s))
            .collect();
        if asserted.is_empty() {
            graph = None;
        }
        if explicit == 0 && graph.is_none() {
            return false;
        }
        if let Some(graph) = &mut graph {
            graph.descend(&asserted, inhibit_any > 0 || (i > 0 && self_issued));
            let mappings = own.into_iter().flat_map(|p| &p.mappings);
            let mappings: Vec<_> = mappings
                .map(|(a, b)| (certificate.bytes(*a), certificate.bytes(*b)))
                .collect();
            if i != 0 && !mappings.is_empty() && graph.map(&mappings, mapping > 0).is_none() {
                return false;
            }
        }
        if i != 0 {
            if !self_issued {
                for count in [&mut explicit, &mut mapping, &mut inhibit_any] {
                    *count = (*count - 1).max(0);
                }
            }
            let lower = |count: &mut i64, limit: Option<i64>| {
                if let Some(limit) = limit.filter(|limit| *limit >= 0) {
                    *count = (*count).min(limit);
                }
            };
            lower(&mut explicit, own.and_then(|p| p.require_explicit));
            lower(&mut mapping, own.and_then(|p| p.inhibit_mapping));
            lower(&mut inhibit_any, own.and_then(|p| p.inhibit_any));
        }
    }
    explicit = (explicit - 1).max(0);
    let leaf = chain.first().and_then(|c| policies(c));
    if leaf.is_some_and(|p| p.require_explicit == Some(0)) {
        explicit = 0;
    }
    explicit > 0 || graph.is_some_and(|mut graph| graph.any_valid())
}

fn policies(certificate: &Certificate) -> Option<&Policies> {
    certificate.extensions.policies.as_deref()
}
