//! From a leaf to the trusted certificates: which chains there are, and whether each of their certificates may stand where it does.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::{Hint, HintReason, SignatureError, VerifyError};
use super::{Certificate, Pool, constraints, policy, signature};

/// How many signatures are checked at most for one verdict.
const MAX_SIGNATURE_CHECKS: usize = 100;

/// A chain: leaf first, trusted certificate last.
pub type Chain = Vec<Arc<Certificate>>;

/// All valid chains (at least one), or why there is none.
pub type Verdict = Result<Vec<Chain>, VerifyError>;

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be a TLS server.
    Server,
    /// To be a TLS client.
    Client,
}

/// Judges certificates at one moment by one set of trusted certificates.
#[derive(Debug)]
pub struct Judge<'a> {
    /// The trusted certificates.
    pub roots: &'a Pool,
    /// The host the certificate must be for; empty for any.
    pub host: &'a str,
    /// Unix seconds.
    pub now: i64,
    /// What the leaf is used for.
    pub purpose: Purpose,
}

/// Where in a chain a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Leaf,
    Intermediate,
    Root,
}

impl Judge<'_> {
    /// The verdict on the certificates as a server presents them: its own first, the others in any order.
    ///
    /// # Errors
    /// As Go's `Certificate.Verify`.
    pub fn verify(&self, presented: &[Arc<Certificate>]) -> Verdict {
        let Some((leaf, others)) = presented.split_first() else {
            return Err(VerifyError::UnknownAuthority(None));
        };
        self.check(leaf, Place::Leaf, &[])?;
        if !self.host.is_empty() {
            leaf.check_hostname(self.host)?;
        }
        let candidates = if self.roots.find(leaf).is_some() {
            vec![vec![Arc::clone(leaf)]]
        } else {
            let mut intermediates = Pool::default();
            for other in others {
                intermediates.add(Arc::clone(other));
            }
            let mut builder = Builder {
                judge: self,
                intermediates,
                checks: 0,
                signed: HashMap::new(),
            };
            builder.build(&mut vec![Arc::clone(leaf)])?
        };
        self.select(&candidates)
    }

    /// Leaves out the chains that must not be used for this.
    fn select(&self, candidates: &[Chain]) -> Verdict {
        let (mut wrong_policies, mut wrong_usage) = (0, 0);
        let mut constrained = None;
        let mut valid = Vec::with_capacity(candidates.len());
        let mut constraints = constraints::Checker::default();
        for chain in candidates {
            if !policy::valid(chain) {
                wrong_policies += 1;
            } else if !serves(chain, self.purpose) {
                wrong_usage += 1;
            } else if let Err(why) = constraints.check(chain) {
                constrained.get_or_insert(why);
            } else {
                valid.push(chain.clone());
            }
        }
        if !valid.is_empty() {
            return Ok(valid);
        }
        if let Some(why) = constrained {
            return Err(VerifyError::ConstrainedName(why));
        }
        if wrong_usage > 0 && wrong_policies == 0 {
            return Err(VerifyError::IncompatibleUsage);
        }
        let mut details = Vec::new();
        if wrong_usage > 0 {
            details.push(format!(
                "{wrong_usage} candidate chains with incompatible key usage"
            ));
        }
        if wrong_policies > 0 {
            details.push(format!("{wrong_policies} candidate chains with invalid policies"));
        }
        Err(VerifyError::NoValidChains(details.join(", ")))
    }

    /// Whether a certificate may stand above `chain`.
    fn check(
        &self,
        certificate: &Certificate,
        place: Place,
        chain: &[Arc<Certificate>],
    ) -> Result<(), VerifyError> {
        if certificate.extensions.unhandled_critical {
            return Err(VerifyError::UnhandledCriticalExtension);
        }
        if chain
            .last()
            .is_some_and(|child| child.raw_issuer() != certificate.raw_subject())
        {
            return Err(VerifyError::NameMismatch);
        }
        let now = self.now;
        if now < certificate.not_before {
            let not_before = certificate.not_before;
            return Err(VerifyError::NotYetValid { now, not_before });
        }
        if now > certificate.not_after {
            let not_after = certificate.not_after;
            return Err(VerifyError::Expired { now, not_after });
        }
        let basic = certificate.extensions.basic;
        if place == Place::Intermediate && !basic.is_some_and(|b| b.ca) {
            return Err(VerifyError::NotAuthorizedToSign);
        }
        if let Some(limit) = basic.and_then(|b| b.path_length) {
            let intermediates = u64::try_from(chain.len().saturating_sub(1)).unwrap_or(u64::MAX);
            if intermediates > limit {
                return Err(VerifyError::TooManyIntermediates);
            }
        }
        Ok(())
    }
}

/// Builds chains for one leaf.
struct Builder<'a> {
    judge: &'a Judge<'a>,
    intermediates: Pool,
    checks: usize,
    /// Whether the first was signed by the second: the same two meet in many chains.
    signed: HashMap<(*const Certificate, *const Certificate), Result<(), SignatureError>>,
}

impl Builder<'_> {
    /// All chains that begin as `chain` does and end in a trusted certificate.
    fn build(&mut self, chain: &mut Chain) -> Verdict {
        let Some(child) = chain.last().cloned() else {
            return Ok(Vec::new());
        };
        let roots = self
            .judge
            .roots
            .parents(&child)
            .into_iter()
            .map(|c| (Place::Root, Arc::clone(c)));
        let others = self.intermediates.parents(&child);
        let others = others.into_iter().map(|c| (Place::Intermediate, Arc::clone(c)));
        let candidates: Vec<(Place, Arc<Certificate>)> = roots.chain(others).collect();
        let mut found = Vec::new();
        let mut hint = None;
        // As upstream's builder: the outcome of the candidate looked at last.
        let mut last = Ok(());
        for (place, candidate) in candidates {
            self.checks += 1;
            if self.checks > MAX_SIGNATURE_CHECKS {
                last = Err(VerifyError::SignatureLimit);
                break;
            }
            if stands_in(&candidate, chain) {
                continue;
            }
            let because = |reason| {
                Box::new(Hint {
                    reason,
                    candidate: candidate.short_name(),
                })
            };
            let signed = self
                .signed
                .entry((Arc::as_ptr(&child), Arc::as_ptr(&candidate)))
                .or_insert_with(|| signature::signed_by(&child, &candidate));
            if let Err(error) = signed.clone() {
                hint.get_or_insert_with(|| because(HintReason::Signature(error)));
                continue;
            }
            last = self.judge.check(&candidate, place, chain);
            if let Err(error) = &last {
                hint.get_or_insert_with(|| because(HintReason::Invalid(error.clone())));
                continue;
            }
            chain.push(candidate);
            if place == Place::Root {
                found.push(chain.clone());
            } else {
                match self.build(chain) {
                    Ok(chains) => found.extend(chains),
                    Err(error) => last = Err(error),
                }
            }
            chain.pop();
            if last == Err(VerifyError::SignatureLimit) {
                break;
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        last?;
        Err(VerifyError::UnknownAuthority(hint))
    }
}

/// Whether a candidate is in the chain already, under this or another signature.
fn stands_in(candidate: &Certificate, chain: &[Arc<Certificate>]) -> bool {
    let san = |c: &Certificate| c.extensions.san.map(|span| c.bytes(span).to_vec());
    for certificate in chain {
        if candidate.raw_subject() != certificate.raw_subject()
            || candidate.raw_key_info() != certificate.raw_key_info()
        {
            continue;
        }
        match (san(candidate), san(certificate)) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b => return true,
            (Some(_), Some(_)) => {}
            _ => return false,
        }
    }
    false
}

impl Certificate {
    /// Whether its extended key usage, if it has one, allows this purpose (RFC 5280, section 4.2.1.12).
    pub fn allows(&self, purpose: Purpose) -> bool {
        self.extensions.usages.is_none_or(|usages| {
            usages.any
                || match purpose {
                    Purpose::Server => usages.server,
                    Purpose::Client => usages.client,
                }
        })
    }
}

/// Whether every certificate of a chain that restricts its use allows this one.
fn serves(chain: &[Arc<Certificate>], purpose: Purpose) -> bool {
    chain.iter().all(|certificate| certificate.allows(purpose))
}
