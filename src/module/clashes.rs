//! Labels that the targets file gives to a target and a probe gives to one of its metrics, too. Prometheus keeps that of the target, and
//! calls the other one `exported_…`, which no dashboard or rule looks for.

use std::collections::{BTreeMap, HashMap};

use super::Module;
use super::load::Loaded;
use crate::config::files::targets::{Target, Targets};
use crate::config::module::vantage::Addresses;
use crate::config::{Prober, Problem};
use crate::metrics::{Metric, Since};

/// A warning for each label that `metric` has a metric for.
fn clashes(targets: &Targets, metric: impl Fn(&Target, &str) -> Option<&'static str>) -> Vec<Problem> {
    let mut found = BTreeMap::new();
    // Most of many targets have the labels and modules of others.
    let mut known = HashMap::new();
    for target in &targets.targets {
        for (label, _) in target.labels.iter().filter(|(_, value)| !value.is_empty()) {
            let known = known.entry((target.module(), label));
            if let Some(metric) = *known.or_insert_with(|| metric(target, label)) {
                let (_, _, count) = found.entry(label).or_insert((target.at, metric, 0));
                *count += 1;
            }
        }
    }
    let all = targets.targets.len();
    let clash = |(label, (at, metric, count)): (&String, (_, _, i32))| {
        let message = format!(
            "the targets file sets the label {label:?} ({count} of {all} targets), which {metric} has, too: Prometheus renames the \
             latter to \"exported_{label}\""
        );
        Problem::new(Some(at), message).with_help("choose another name")
    };
    found.into_iter().map(clash).collect()
}

/// The warnings about a targets file whose modules are not known.
pub fn without_modules(targets: &Targets) -> Vec<Problem> {
    clashes(targets, |_, label| {
        let mut families = Metric::ALL.iter().map(|metric| metric.family());
        let family = families
            .find(|family| family.labels.contains(&label) && matches!(family.since, Since::Upstream(_)));
        family.map(|family| family.name)
    })
}

impl Loaded {
    /// The warnings about the targets.
    pub(super) fn clashes(&self) -> Vec<Problem> {
        clashes(&self.targets, |target, label| {
            self.modules.get(target.module())?.metric_with(label)
        })
    }
}

impl Module {
    /// A metric of its probes that has a label of that name.
    fn metric_with(&self, label: &str) -> Option<&'static str> {
        let families = Metric::ALL.iter().filter(|metric| self.exposes(**metric));
        let mut families = families.map(|metric| metric.family());
        let family = families.find(|family| family.labels.contains(&label));
        let steps = match self.raw.prober {
            Prober::Tcp => &self.raw.tcp.query_response[..],
            Prober::Unix => &self.raw.unix.query_response[..],
            _ => &[],
        };
        let own = || {
            let mut own = steps.iter().filter_map(|step| step.labels.as_ref()).flatten();
            own.any(|own| own.name == label)
                .then(|| Metric::ExpectInfo.family())
        };
        family.or_else(own).map(|family| family.name)
    }

    fn exposes(&self, metric: Metric) -> bool {
        let family = metric.family();
        let of_prober = family.probers.is_empty() || family.probers.contains(&self.raw.prober);
        of_prober
            && match metric {
                Metric::FailureInfo => self.exposition.failure_reason,
                Metric::IpInfo => self.exposition.resolved_address,
                Metric::AddressSuccess => self.addresses == Addresses::All,
                Metric::TcpDuration => self.raw.tcp.repeat.packets() > 1,
                Metric::SslCrlAvailable
                | Metric::SslCrlNextUpdate
                | Metric::SslCrlRevoked
                | Metric::SslCrlStale => self.raw.looks_into_lists(),
                _ => matches!(family.since, Since::Upstream(_)) || self.exposition.certificates,
            }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::module::parse;

    #[test]
    fn labels_of_a_probes_metrics_are_warned_of() {
        let modules = "modules:
  http: {prober: http}
  plain: {prober: icmp}
  all: {prober: icmp, addresses: all, resolved_address: true, certificates: true, failure_reason: true}
  banner: {prober: tcp, tcp: {query_response: [{expect: a, labels: [{name: software, value: b}]}]}}
";
        let warned = |module: &str, label: &str| {
            let entry = format!("address: a, module: {module}, labels: {{{label}: x}}");
            let targets = format!("targets: [{{name: a, {entry}}}, {{name: b, {entry}}}]");
            let loaded = parse(modules, "test").unwrap();
            let loaded = loaded.with_targets(targets.into(), Path::new("t")).unwrap();
            let messages = loaded.warnings.iter().map(|warning| warning.message.to_string());
            messages.collect::<Vec<_>>().concat()
        };
        for (module, label, metric) in [
            ("http", "phase", "probe_http_duration_seconds"),
            ("http", "version", "probe_tls_version_info"),
            ("plain", "phase", "probe_icmp_duration_seconds"),
            ("all", "ip", "probe_address_success"),
            ("all", "step", "probe_failure_info"),
            ("banner", "software", "probe_expect_info"),
        ] {
            let said = format!(
                "the targets file sets the label \"{label}\" (2 of 2 targets), which {metric} has, too: Prometheus renames the latter to \"exported_{label}\""
            );
            assert_eq!(warned(module, label), said);
        }
        for (module, label) in [
            ("http", "ip"),
            ("http", "env"),
            ("http", "module"),
            ("plain", "version"),
            ("plain", "ip"),
            ("banner", "phase"),
            ("all", "key_bits"),
        ] {
            assert_eq!(warned(module, label), "", "{module} {label}");
        }
    }
}
