//! What a name server sends, and the files that say which one is asked. The first two bytes choose; the rest is the answer to a
//! question of ours, or a `resolv.conf` and a hosts file.
#![no_main]

use go_resolve::config::ResolvConf;
use go_resolve::hosts::Hosts;
use go_resolve::wire::{Query, Record, Reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    if *kind < 128 {
        let record = if kind % 2 == 0 { Record::A } else { Record::Aaaa };
        let Some(query) = Query::new(0x1234, "example.com.", record, false) else {
            return;
        };
        let reply = Reply::new(rest);
        let _ = (reply.matches(&query), reply.is_truncated());
        if let Ok(addresses) = reply.addresses(record) {
            // An address takes at least a name, a type, a class, a lifetime and a length.
            assert!(addresses.len() * 15 <= rest.len());
        }
        return;
    }
    let text = String::from_utf8_lossy(rest).into_owned();
    let config = ResolvConf::parse(Ok(text.clone()));
    let _ = (config.names("host"), config.names("a.b."), config.servers_in_turn().count());
    let hosts = Hosts::parse(Ok(text));
    let _ = (hosts.addresses("localhost"), hosts.addresses("a.b."));
});
