//! Loading configuration files of many modules: reading, judging and compiling them.
#![allow(missing_docs, reason = "a benchmark has no callers")]
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::fmt::Write as _;

use blackbox_exporter::{config, module};
use divan::Bencher;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// Modules as a large installation has them: a few kinds, many names.
fn text(modules: usize) -> String {
    let mut text = "modules:\n".to_owned();
    for i in 0..modules {
        write!(text, "  module_{i}:\n    timeout: 5s\n").unwrap();
        text.push_str(match i % 4 {
            0 => "    prober: http\n    http:\n      preferred_ip_protocol: ip4\n      valid_status_codes: [200, 204]\n      fail_if_body_not_matches_regexp: [\"status.*ok\"]\n      headers:\n        Accept-Language: en\n",
            1 => "    prober: tcp\n    tcp:\n      query_response:\n        - expect: \"^SSH-2.0-\"\n        - send: \"SSH-2.0-check\"\n",
            2 => "    prober: dns\n    dns:\n      query_name: example.test\n      query_type: A\n      validate_answer_rrs:\n        fail_if_not_matches_regexp: [\"127.0.0.1\"]\n",
            _ => "    prober: icmp\n",
        });
    }
    text
}

#[divan::bench(args = [1, 100, 10_000])]
fn load(bencher: Bencher, modules: usize) {
    let text = text(modules);
    bencher.bench(|| module::parse(text.as_str(), "bench.yml").unwrap());
}

#[divan::bench(args = [1, 100, 10_000])]
fn read_only(bencher: Bencher, modules: usize) {
    let text = text(modules);
    bencher.bench(|| config::parse(&text).config);
}

#[divan::bench(args = [1, 100, 10_000])]
fn write_back(bencher: Bencher, modules: usize) {
    let text = text(modules);
    let config = config::parse(&text).config;
    bencher.bench(|| config::write::config(&config));
}

#[divan::bench]
fn compile_regexp() -> impl Sized {
    blackbox_exporter::check::regexp::Regexp::new(divan::black_box("^SSH-2.0-([^ -]+)(?: (.*))?$")).unwrap()
}
