//! One package beside the part of the exporter that does its work: called by `run.py`, which sets the stage.
//!
//! usage: packages resolve hickory|ours | resolve-cpu hickory|ours COUNT | ping surge|ours COUNT ROUNDS | yaml NAME | yaml-syntax NAME | http PORT | http2

#![forbid(unsafe_code)]

mod http1;
mod http2;
mod ping;
mod resolve;
mod yaml;

use std::time::Duration;

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["resolve", who] => resolve::names(who).await,
        ["resolve-cpu", who, count] => resolve::cpu(who, count.parse().unwrap()).await,
        ["ping", who, count, rounds] => ping::run(who, count.parse().unwrap(), rounds.parse().unwrap()).await,
        ["yaml", who] => yaml::run(who),
        ["yaml-syntax", who] => yaml::syntax(who),
        ["http", port] => http1::run(port).await,
        ["http2"] => http2::run().await,
        _ => panic!("see the top of main.rs"),
    }
}

/// The CPU time of this process so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let mut sum: u64 = 0;
    for task in tasks.flatten() {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_else(|_| stat.clone());
        sum += stat.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    Duration::from_nanos(sum)
}
