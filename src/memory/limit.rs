//! How much memory there is: what the flag says, or most of what the cgroup allows.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A limit of memory.
#[derive(Debug)]
pub struct Limit {
    /// Bytes.
    pub bytes: u64,
    /// The cgroup, when it is its limit that counts.
    pub(super) cgroup: Option<Cgroup>,
}

/// The memory of a cgroup, of the first version or the second.
#[derive(Debug)]
pub struct Cgroup {
    used: File,
    statistics: File,
    /// The limits of the group and of those above it; none when they do not count.
    limits: Vec<File>,
}

/// Where the groups are.
const ROOT: &str = "/sys/fs/cgroup";

/// What is above any limit that was meant as one: the first version says "none" so.
const NO_LIMIT: u64 = 1 << 60;

/// The limit to keep: `given` by the flag, where 0 means none, or what the cgroup [leaves](left).
pub fn find(given: Option<u64>) -> Option<Limit> {
    let found = folders()
        .into_iter()
        .find_map(|folder| open(&folder, Path::new(ROOT)));
    match (given, found) {
        (Some(0), _) | (None, None) => None,
        (Some(bytes), Some(cgroup)) => Some(Limit {
            bytes,
            cgroup: Some(Cgroup {
                limits: Vec::new(),
                ..cgroup
            }),
        }),
        (Some(bytes), None) => Some(Limit { bytes, cgroup: None }),
        (None, Some(cgroup)) => Some(Limit {
            bytes: cgroup.left()?,
            cgroup: Some(cgroup),
        }),
    }
}

/// Nine tenths of a cgroup's limit, and no more than what leaves room for the program's code, or a quarter. The kernel takes pages of code
/// back before it kills: without room for them, every step of the program waits for the disk, and nothing is ever given back.
fn left(of_group: u64, code: u64) -> u64 {
    of_group - (of_group / 10).max(code.min(of_group / 4))
}

/// How large the code of this process is, with its libraries, in bytes.
fn code() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = |line: &str| {
        let value = line
            .strip_prefix("VmExe:")
            .or_else(|| line.strip_prefix("VmLib:"))?;
        value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    status.lines().filter_map(kibibytes).sum::<u64>() << 10
}

/// The folders that may say what the cgroup of this process may use; in a container its own is at the top.
fn folders() -> Vec<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut folders = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let root = match controllers {
            "" => PathBuf::from(ROOT),
            _ if controllers.split(',').any(|name| name == "memory") => Path::new(ROOT).join("memory"),
            _ => continue,
        };
        folders.push(root.join(path.trim_start_matches('/')));
        folders.push(root);
    }
    folders
}

/// What is read of a group, or of the one above it up to the root that has the lowest limit; `None` when there is no limit.
fn open(folder: &Path, root: &Path) -> Option<Cgroup> {
    let (limit, used) = if folder.join("memory.max").exists() {
        ("memory.max", "memory.current")
    } else {
        ("memory.limit_in_bytes", "memory.usage_in_bytes")
    };
    let groups = folder.ancestors().take_while(|folder| folder.starts_with(root));
    let limits: Vec<(&Path, File)> = groups
        .filter_map(|folder| Some((folder, File::open(folder.join(limit)).ok()?)))
        .collect();
    let (_, folder) = limits
        .iter()
        .filter_map(|(folder, limit)| Some((bytes(limit)?, folder)))
        .min_by_key(|(bytes, _)| *bytes)?;
    Some(Cgroup {
        used: File::open(folder.join(used)).ok()?,
        statistics: File::open(folder.join("memory.stat")).ok()?,
        limits: limits.into_iter().map(|(_, limit)| limit).collect(),
    })
}

/// What a file has as a limit.
fn bytes(limit: &File) -> Option<u64> {
    let bytes = text(limit)?.trim().parse::<u64>().ok();
    bytes.filter(|bytes| *bytes < NO_LIMIT)
}

impl Cgroup {
    /// What its limit [leaves](left) now, if that counts: it may be changed or removed while the exporter runs.
    pub(super) fn left(&self) -> Option<u64> {
        static CODE: LazyLock<u64> = LazyLock::new(code);
        if self.limits.is_empty() {
            return None;
        }
        let lowest = self.limits.iter().filter_map(bytes).min();
        Some(lowest.map_or(NO_LIMIT, |lowest| left(lowest, *CODE).max(1)))
    }

    /// What is used, except for pages of files, which the kernel takes back before it kills.
    pub(super) fn used(&self) -> Option<u64> {
        let used: u64 = text(&self.used)?.trim().parse().ok()?;
        let statistics = text(&self.statistics)?;
        // The first version counts groups below it only under these names.
        let value = |name: &str| {
            let of = |name: &str| {
                statistics
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok())
            };
            of(&format!("total_{name}")).or_else(|| of(name)).unwrap_or(0)
        };
        Some(used.saturating_sub(value("inactive_file") + value("active_file")))
    }
}

fn text(file: &File) -> Option<String> {
    let mut buffer = [0; 4096];
    let length = file.read_at(&mut buffer, 0).ok()?;
    String::from_utf8(buffer.get(..length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::{Budget, Use};
    use super::*;

    #[test]
    fn a_flag_counts_before_the_cgroup() {
        assert!(find(Some(0)).is_none());
        assert_eq!(find(Some(77)).unwrap().bytes, 77);
    }

    #[test]
    fn the_code_has_room_beside_the_limit() {
        let mebibytes = [(64, 48), (100, 84), (512, 460), (16, 12)];
        for (of_group, want) in mebibytes {
            assert_eq!(left(of_group << 20, 16 << 20) >> 20, want, "{of_group}");
        }
        assert!(code() > 1 << 20, "{}", code());
    }

    #[test]
    fn the_lowest_limit_of_the_groups_counts() {
        // Of both versions: the names of the files, and what says that there is no limit.
        let rows = [
            ("memory.max", "memory.current", "max"),
            (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "9223372036854771712",
            ),
        ];
        for (limit, usage, none) in rows {
            let top = tempfile::tempdir().unwrap();
            let root = top.path().join("root");
            // What is above the root is no group.
            let groups = [
                ("", "1"),
                ("root", none),
                ("root/a", "1000"),
                ("root/a/b", "2000"),
                ("root/a/b/c", none),
            ];
            for (group, bytes) in groups {
                let folder = top.path().join(group);
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join(limit), format!("{bytes}\n")).unwrap();
                fs::write(folder.join(usage), format!("{}\n", 100 + group.len())).unwrap();
                fs::write(
                    folder.join("memory.stat"),
                    "anon 7\ninactive_file 10\nactive_file 20\n",
                )
                .unwrap();
            }
            assert!(open(&root, &root).is_none());
            let cgroup = open(&root.join("a/b/c"), &root).unwrap();
            let lowest = cgroup.limits.iter().filter_map(bytes).min();
            assert_eq!((lowest, cgroup.used()), (Some(1000), Some(100 + 6 - 30)));
        }
    }

    #[test]
    fn a_group_that_is_resized_counts_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            File::open(file).unwrap()
        };
        let open = |limits| Cgroup {
            used: put("memory.current", "1048576\n"),
            statistics: put("memory.stat", "active_file 0\n"),
            limits,
        };
        let cgroup = open(vec![put("above", "max\n"), put("memory.max", "68719476736\n")]);
        let bytes = cgroup.left().unwrap();
        let follows = Budget::new(Limit {
            bytes,
            cgroup: Some(cgroup),
        });
        // As when the flag has a limit.
        let keeps = Budget::new(Limit {
            bytes,
            cgroup: Some(open(Vec::new())),
        });
        assert_eq!(follows.limit(), bytes);
        put("memory.max", "34359738368\n");
        let start = Instant::now();
        while follows.limit() == bytes {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
            assert!(keeps.grant(Use::Probes, 1) && follows.grant(Use::Probes, 1));
        }
        assert_eq!(follows.limit(), left(34_359_738_368, code()));
        assert_eq!(keeps.limit(), bytes);
        put("memory.max", "max\n");
        while follows.limit() != NO_LIMIT {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
            assert!(follows.grant(Use::Probes, 1));
        }
    }
}
