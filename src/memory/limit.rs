//! How much memory there is: what the flag says, or most of what the cgroup allows.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

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
        (Some(bytes), Some((_, cgroup))) => Some(Limit {
            bytes,
            cgroup: Some(cgroup),
        }),
        (Some(bytes), None) => Some(Limit { bytes, cgroup: None }),
        (None, Some((of_group, cgroup))) => Some(Limit {
            bytes: left(of_group, code()),
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

/// The lowest limit of a group and those above it up to the root, and what is read of the group; `None` when there is no limit.
fn open(folder: &Path, root: &Path) -> Option<(u64, Cgroup)> {
    let (limit, used) = if folder.join("memory.max").exists() {
        ("memory.max", "memory.current")
    } else {
        ("memory.limit_in_bytes", "memory.usage_in_bytes")
    };
    let bytes = |folder: &Path| {
        let text = fs::read_to_string(folder.join(limit)).ok()?;
        text.trim().parse::<u64>().ok().filter(|bytes| *bytes < NO_LIMIT)
    };
    let (bytes, folder) = folder
        .ancestors()
        .take_while(|folder| folder.starts_with(root))
        .filter_map(|folder| Some((bytes(folder)?, folder)))
        .min_by_key(|(bytes, _)| *bytes)?;
    let cgroup = Cgroup {
        used: File::open(folder.join(used)).ok()?,
        statistics: File::open(folder.join("memory.stat")).ok()?,
    };
    Some((bytes, cgroup))
}

impl Cgroup {
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
            let (bytes, cgroup) = open(&root.join("a/b/c"), &root).unwrap();
            assert_eq!((bytes, cgroup.used()), (1000, Some(100 + 6 - 30)));
        }
    }
}
