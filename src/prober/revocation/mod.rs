//! Whether the certificates of a probe's last handshake are revoked: by the lists that they name (`check_revoked`), by OCSP, and
//! what follows from it (`fail_if_cert_revoked`).

mod lists;
mod ocsp;

use std::time::{Duration, UNIX_EPOCH};

use super::Probe;
use crate::config::Ocsp;
use crate::log;
use crate::metrics::Metric;
use crate::module::{Kind, Module};
use crate::net::revocation::Way;
use crate::net::tls::facts::{Ending, TlsFacts};
use crate::probe_log::{LogValue, text};

/// Whether the module wants it.
pub(super) fn is_wanted(module: &Module) -> bool {
    module.raw.looks_into_lists() || module.raw.revocation.ocsp != Ocsp::Off
}

/// Looks the certificates up, if the probe's last connection was encrypted. Whether the probe fails for it.
pub(super) async fn check(probe: &mut Probe<'_>) -> bool {
    let module = probe.module;
    let (is_last, proxies) = match &module.kind {
        Kind::Http(http) => (
            probe.samples.value(Metric::HttpSsl) == Some(1.0),
            Some(&http.proxies),
        ),
        _ => (true, None),
    };
    let complete = |facts: &&TlsFacts| is_last && facts.ending == Ending::Complete;
    let Some(facts) = probe.attempt.tls.as_deref().filter(complete).cloned() else {
        return false;
    };
    if let Some(proxies) = proxies {
        probe.secrets.hide_proxies(proxies);
    }
    let way = Way {
        network: probe.network,
        proxies,
        agent: crate::module::http::USER_AGENT,
        deadline: probe.deadline,
    };
    let mut revoked = false;
    if module.raw.looks_into_lists() {
        let chain = facts.chains.first().unwrap_or(&facts.presented);
        revoked |= lists::check(probe, way, chain).await;
    }
    if module.raw.revocation.ocsp != Ocsp::Off {
        revoked |= ocsp::check(probe, way, module.raw.revocation.ocsp, &facts).await;
    }
    let fails = revoked && module.raw.revocation.fail_if_cert_revoked;
    if fails {
        let leaf = facts.presented.first().map(|leaf| leaf.subject());
        log!(probe.log, Error, "A certificate of the server is revoked", "subject" => text(leaf.unwrap_or_default()));
    }
    fails
}

/// A moment for the log.
fn time(at: i64) -> LogValue {
    let since = Duration::from_secs(at.unsigned_abs());
    let at = if at < 0 {
        UNIX_EPOCH.checked_sub(since)
    } else {
        UNIX_EPOCH.checked_add(since)
    };
    LogValue::Time(at.unwrap_or(UNIX_EPOCH))
}
