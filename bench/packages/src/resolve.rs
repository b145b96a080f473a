//! Names looked up by hickory-resolver and by go-resolve, both from the files of this machine.

use std::time::{Duration, Instant};

use go_resolve::config::ResolvConf;
use go_resolve::hosts::Hosts;
use go_resolve::order;
use go_resolve::stub::{Sockets, Stub, is_domain_name};
use go_resolve::wire::Record;
use gostd::address::Address;
use gostd::deadline::Deadline;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;

const PATIENCE: Duration = Duration::from_secs(8);

enum Resolver {
    Hickory(Box<TokioResolver>),
    /// It read its files and found nothing that it can use.
    HickoryHasNone,
    Ours(Hosts, ResolvConf),
}

impl Resolver {
    fn new(who: &str) -> Self {
        if who == "ours" {
            let hosts = Hosts::parse(std::fs::read_to_string("/etc/hosts"));
            return Self::Ours(
                hosts,
                ResolvConf::parse(std::fs::read_to_string("/etc/resolv.conf")),
            );
        }
        let built = TokioResolver::builder_tokio().and_then(|mut builder| {
            let options = builder.options_mut();
            options.cache_size = 0;
            options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
            builder.build()
        });
        match built {
            Ok(resolver) => Self::Hickory(Box::new(resolver)),
            Err(_) => Self::HickoryHasNone,
        }
    }

    async fn lookup(&self, name: &str) -> Result<Vec<Address>, String> {
        match self {
            Self::HickoryHasNone => Err("its files".into()),
            Self::Hickory(resolver) => {
                let found = resolver.lookup_ip(name).await.map_err(|error| class(&error))?;
                Ok(found.iter().map(Address::new).collect())
            }
            Self::Ours(hosts, conf) => ours(hosts, conf, name).await,
        }
    }
}

/// What an error says, in the few classes that all can name.
fn class(error: &NetError) -> String {
    let is_none = |code: ResponseCode| matches!(code, ResponseCode::NXDomain | ResponseCode::NoError);
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) if is_none(none.response_code) => "none".into(),
        NetError::Timeout => "timeout".into(),
        _ => "fault".into(),
    }
}

async fn ours(hosts: &Hosts, conf: &ResolvConf, name: &str) -> Result<Vec<Address>, String> {
    if let Some(address) = Address::parse(name) {
        return Ok(vec![address]);
    }
    if !hosts.addresses(name).is_empty() {
        return Ok(hosts.addresses(name).to_vec());
    }
    if !is_domain_name(name) {
        return Err("none".into());
    }
    let deadline = Deadline::after(tokio::time::Instant::now(), PATIENCE);
    let stub = Stub {
        transport: &Sockets,
        conf,
        deadline,
        overlaps: false,
    };
    match stub.addresses(name, &[Record::A, Record::Aaaa]).await {
        Ok(found) => {
            let found = found.ok_or("fault")?;
            let mut sorted = Vec::new();
            for is_v4 in [true, false] {
                let mut family: Vec<_> = found
                    .iter()
                    .filter(|ip| ip.is_ipv4() == is_v4)
                    .copied()
                    .map(Address::new)
                    .collect();
                order::sort(&mut family);
                sorted.append(&mut family);
            }
            Ok(sorted)
        }
        Err(error) if error.cause.is_not_found() => Err("none".into()),
        Err(error) if error.cause.to_string().contains("timeout") => Err("timeout".into()),
        Err(_) => Err("fault".into()),
    }
}

/// A line for each name that stands on standard input: its addresses of both families, in order, or the class of the error.
pub async fn names(who: &str) {
    let resolver = Resolver::new(who);
    for name in std::io::stdin().lines().map_while(Result::ok) {
        let name = name.strip_prefix('=').unwrap_or(&name);
        let began = Instant::now();
        let found = tokio::time::timeout(PATIENCE, resolver.lookup(name)).await;
        let found = found.unwrap_or(Err("timeout".into()));
        let text = match found {
            Ok(addresses) => shown(&addresses),
            Err(class) => class,
        };
        println!("{text}\t{:.1}", began.elapsed().as_secs_f64());
    }
}

/// Addresses without their zones, which Go's are printed without.
fn shown(addresses: &[Address]) -> String {
    let family = |is_v4: bool| {
        let family = addresses.iter().filter(|address| address.ip.is_ipv4() == is_v4);
        family
            .map(|address| address.ip.to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    format!("{} {}", family(true), family(false))
}

/// Microseconds of CPU per lookup of both families, sixteen at a time, each of another of 200 names.
pub async fn cpu(who: &str, count: u32) {
    let resolver = std::sync::Arc::new(Resolver::new(who));
    assert!(!resolver.lookup("two.test").await.unwrap().is_empty());
    let before = crate::cpu_time();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let resolver = std::sync::Arc::clone(&resolver);
        tasks.spawn(async move {
            for number in 0..count / 16 {
                let name = format!("n{}.test", (number + task * 12) % 200);
                resolver.lookup(&name).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    println!(
        "{:.1}",
        (crate::cpu_time() - before).as_secs_f64() * 1e6 / f64::from(count)
    );
}
