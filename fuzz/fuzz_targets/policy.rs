//! A target, a line end, and a target policy: any policy is read or refused, and judges every spelling of a target alike.
#![no_main]

use std::net::IpAddr;
use std::path::Path;

use blackbox_exporter::module;
use blackbox_exporter::net::policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let Some((target, rules)) = data.split_once('\n') else {
        return;
    };
    let text = format!("modules: {{a: {{prober: tcp}}}}\npolicy:\n{rules}");
    let Ok(loaded) = module::parse(text.as_bytes(), "fuzz.yml") else {
        return;
    };
    let policy = Policy::of(loaded.config.policy);
    let allows = |host: &str| policy.check_name(host).is_ok();
    let allowed = allows(target);
    assert_eq!(allowed, allows(&target.to_ascii_uppercase()), "case");
    if !target.is_empty() && !target.ends_with(['.', ']']) {
        assert_eq!(allowed, allows(&format!("{target}.")), "final dot");
    }
    let _ = (
        policy.check_host_header(target),
        policy.check_chosen(target, Some(80)),
        policy.check_far(target, None),
        policy.check_unix(Path::new(target), None),
    );
    if let Ok(IpAddr::V4(address)) = target.parse() {
        let mapped = IpAddr::V6(address.to_ipv6_mapped());
        let allows = |address| policy.check_address(address).is_ok();
        assert_eq!(allows(address.into()), allows(mapped), "mapped");
    }
});
