//! `process_*` as client_golang exposes them on Linux, read from /proc with as few reads as will do.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::print::Figures;
use crate::metrics::own::Own;

/// Clock ticks a second in /proc: `USER_HZ`, 100 on every architecture that Rust runs on.
const TICKS: f64 = 100.0;

/// How old the network's byte counts may be: the kernel adds them up over all processors, together with a hundred others,
/// which takes longer than all the rest of a scrape.
const NETWORK_AGE: Duration = Duration::from_secs(1);

/// Where the values come from. The files stay open: reading them again is much cheaper than opening them.
#[derive(Debug)]
pub struct Process {
    /// Bytes.
    page_size: f64,
    /// Seconds since 1970; `None` without /proc.
    start_time: Option<f64>,
    stat: Option<File>,
    netstat: Option<File>,
    network: Mutex<Option<(Instant, NetworkBytes)>>,
}

/// What changes.
#[derive(Debug, Default)]
struct Usage {
    cpu_seconds: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
    /// Since boot, in ticks.
    start_ticks: f64,
}

/// Bytes received and sent.
type NetworkBytes = (f64, f64);

impl Process {
    /// Opens the files, and reads what stays the same.
    pub fn of_this_process() -> Self {
        let page_size = rustix::param::page_size() as f64;
        let stat = File::open("/proc/self/stat").ok();
        let boot_time = fs::read_to_string("/proc/stat").ok().and_then(|stat| {
            stat.lines()
                .find_map(|line| line.strip_prefix("btime ")?.parse::<f64>().ok())
        });
        let usage = Usage::read(stat.as_ref(), page_size);
        Self {
            page_size,
            start_time: boot_time
                .zip(usage)
                .map(|(boot, usage)| boot + usage.start_ticks / TICKS),
            stat,
            netstat: File::open("/proc/self/net/netstat").ok(),
            network: Mutex::default(),
        }
    }

    fn network_bytes(&self) -> Option<NetworkBytes> {
        let mut network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        match *network {
            Some((at, bytes)) if at.elapsed() < NETWORK_AGE => Some(bytes),
            _ => {
                let bytes = read::<16384, _>(self.netstat.as_ref()?, parse_netstat)?;
                *network = Some((Instant::now(), bytes));
                Some(bytes)
            }
        }
    }

    /// Without /proc there is nothing.
    pub fn tell(&self, figures: &mut Figures) {
        let Some(usage) = Usage::read(self.stat.as_ref(), self.page_size) else {
            return;
        };
        figures.value(Own::CpuSeconds, usage.cpu_seconds);
        figures.value(Own::MaxFiles, limit(Resource::Nofile));
        if let Some((received, sent)) = self.network_bytes() {
            figures.value(Own::BytesReceived, received);
            figures.value(Own::BytesSent, sent);
        }
        if let Some(open) = open_files() {
            figures.value(Own::OpenFiles, open);
        }
        figures.value(Own::ResidentMemory, usage.resident_bytes);
        if let Some(start) = self.start_time {
            figures.value(Own::StartTime, start);
        }
        figures.value(Own::VirtualMemory, usage.virtual_bytes);
        figures.value(Own::VirtualMemoryMax, limit(Resource::As));
    }
}

/// The limit of this process; none is the largest number, as client_golang shows it.
fn limit(resource: Resource) -> f64 {
    getrlimit(resource)
        .current
        .map_or(u64::MAX as f64, |most| most as f64)
}

impl Usage {
    /// `/proc/self/stat` (proc_pid_stat(5)): the fields after the command name, which is in parentheses.
    fn read(stat: Option<&File>, page_size: f64) -> Option<Self> {
        read::<1024, _>(stat?, |stat| Self::parse(stat, page_size))
    }

    fn parse(stat: &str, page_size: f64) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        // The first of these is field 3 in the manual.
        let mut fields = fields.split_ascii_whitespace();
        let mut after = |skipped| fields.nth(skipped)?.parse::<f64>().ok();
        Some(Self {
            // Fields 14 and 15, 22 to 24.
            cpu_seconds: (after(14 - 3)? + after(0)?) / TICKS,
            start_ticks: after(22 - 16)?,
            virtual_bytes: after(0)?,
            resident_bytes: after(0)? * page_size,
        })
    }
}

/// Parses a file of /proc from its beginning, or what `N` bytes hold of it.
fn read<const N: usize, T>(file: &File, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let mut buffer = [0; N];
    let length = file.read_at(&mut buffer, 0).ok()?;
    parse(std::str::from_utf8(buffer.get(..length)?).ok()?)
}

/// Of the network namespace: `IpExt` `InOctets` and `OutOctets`, as client_golang takes them.
fn parse_netstat(text: &str) -> Option<NetworkBytes> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("IpExt: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let value = |wanted: &str| {
        let index = names.split(' ').position(|name| name == wanted)?;
        values.split(' ').nth(index)?.parse().ok()
    };
    Some((value("InOctets")?, value("OutOctets")?))
}

/// How many descriptors are open. Since Linux 6.2 that is the size of the directory; before, its entries are counted.
fn open_files() -> Option<f64> {
    const DIRECTORY: &str = "/proc/self/fd";
    let size = fs::metadata(DIRECTORY).ok()?.len();
    if size > 0 {
        return Some(size as f64);
    }
    // Less one: the directory that is open while it is read.
    Some(fs::read_dir(DIRECTORY).ok()?.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stat_with_an_odd_command_name() {
        let stat = "4242 (black) box) S 1 4242 4242 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 5 0 1000 8192000 256 18446744073709551615";
        let usage = Usage::parse(stat, 4096.0).unwrap();
        assert_eq!(usage.cpu_seconds, 2.0);
        assert_eq!(usage.start_ticks, 1000.0);
        assert_eq!(usage.virtual_bytes, 8_192_000.0);
        assert_eq!(usage.resident_bytes, 1_048_576.0);
        assert!(Usage::parse("", 4096.0).is_none());
    }

    #[test]
    fn reads_network_bytes() {
        let text = "TcpExt: A B\nTcpExt: 1 2\nIpExt: InMcastPkts InOctets OutOctets\nIpExt: 0 11 22\n";
        assert_eq!(parse_netstat(text), Some((11.0, 22.0)));
        assert_eq!(parse_netstat("IpExt: InOctets\n"), None);
    }

    #[test]
    fn this_process_has_files_open() {
        assert!(open_files().unwrap() > 2.0);
    }
}
