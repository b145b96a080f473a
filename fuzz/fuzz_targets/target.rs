//! A target: a URL that goes out as it came in, and a host with a port.
#![no_main]

use blackbox_exporter::net::split_host_port;
use blackbox_exporter::net::url::Url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let _ = split_host_port(data);
    if let Ok(url) = Url::parse(data) {
        let _ = (
            url.hostname(),
            url.port(),
            url.request_uri(),
            url.redacted("xxxxx"),
        );
        let written = url.to_bytes();
        // Go, too, writes a path with two slashes and no host as if it began with a host.
        if let Ok(again) = Url::parse(&written)
            && !(url.host.is_empty() && written.starts_with(b"//"))
        {
            assert_eq!(written, again.to_bytes());
        }
    }
});
