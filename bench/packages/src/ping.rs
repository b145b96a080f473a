//! Many pings at once to addresses of this machine: how many are answered, and what they cost.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ping_engine::{AddressFamily, Engine, Shape};
use surge_ping::{Client, Config, PingIdentifier, PingSequence};
use tokio::task::JoinSet;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

pub async fn run(who: &str, count: u32, rounds: u32) {
    let engine = Arc::new(Engine::default());
    let client = Client::new(&Config::default()).unwrap();
    let payload: Arc<[u8]> = Arc::from([7; 28]);
    let mut answered = 0;
    let before = crate::cpu_time();
    for round in 0..rounds {
        let mut pings = JoinSet::new();
        for number in 0..count {
            let ip = Ipv4Addr::from(0x7f00_0100 + round * count + number);
            let (engine, client, payload) = (Arc::clone(&engine), client.clone(), Arc::clone(&payload));
            match who {
                "ours" => pings.spawn(async move { ours(&engine, ip, &payload).await }),
                "surge" => pings.spawn(async move {
                    let id = PingIdentifier(rand::random());
                    let mut pinger = client.pinger(IpAddr::V4(ip), id).await;
                    pinger.timeout(PATIENCE);
                    pinger.ping(PingSequence(1), &payload).await.is_ok()
                }),
                _ => panic!("{who}?"),
            };
        }
        answered += pings
            .join_all()
            .await
            .into_iter()
            .filter(|is_good| *is_good)
            .count();
    }
    let cpu = crate::cpu_time() - before;
    let all = count * rounds;
    println!("{answered} {all} {:.1}", cpu.as_secs_f64() * 1e6 / f64::from(all));
}

async fn ours(engine: &Engine, ip: Ipv4Addr, payload: &Arc<[u8]>) -> bool {
    let shape = Shape {
        family: AddressFamily::V4,
        source: None,
        ttl: 0,
        dont_fragment: false,
        dscp: None,
        interface: None,
    };
    let to = SocketAddr::from((ip, 0));
    let answered = async {
        let ping = engine.prepare(shape, to, payload, None).ok()?;
        engine.send(ping, payload).await.ok()?.answer().await
    };
    matches!(timeout(PATIENCE, answered).await, Ok(Some(_)))
}
