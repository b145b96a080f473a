//! Pages of the program and its libraries. A start reads much of them once: flags, configuration, addresses that the linker left to
//! be filled in.

use std::ops::Range;

/// The mappings of files that hold nothing but what is in the file: nobody can write to them, and nothing in them was changed.
pub(super) fn unchanged(smaps: &str) -> Vec<Range<usize>> {
    let (mut found, mut here) = (Vec::new(), None);
    for line in smaps.lines() {
        match line.strip_prefix("Anonymous:") {
            Some(changed) if changed.trim() == "0 kB" => found.extend(here.take()),
            Some(_) => here = None,
            None => here = mapping(line).map_or(here, |mapping| mapping.is_of_file.then_some(mapping.pages)),
        }
    }
    found
}

/// The first line of a mapping.
struct Mapping {
    pages: Range<usize>,
    is_of_file: bool,
}

/// `55f1d5ec0000-55f1d6da4000 r-xp 00666000 fe:00 131  /bin/blackbox_exporter`
fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let may = fields.next()?;
    let file = fields.nth(3).unwrap_or_default();
    Some(Mapping {
        pages: address(start)?..address(end)?,
        is_of_file: matches!(may, "r--p" | "r-xp") && file.starts_with('/'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_files_still_have_is_given_back() {
        let smaps = "\
1000-3000 r--p 00000000 fe:00 131 /bin/program
Rss:                   8 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
3000-5000 r-xp 00002000 fe:00 131 /bin/program (deleted)
Anonymous:             0 kB
5000-6000 r--p 00004000 fe:00 131 /bin/program
Anonymous:             4 kB
6000-7000 rw-p 00005000 fe:00 131 /bin/program
Anonymous:             0 kB
7000-8000 r--p 00000000 00:00 0
Anonymous:             0 kB
8000-9000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
9000-a000 r--s 00000000 fe:00 132 /shared
Anonymous:             0 kB
";
        assert_eq!(unchanged(smaps), [0x1000..0x3000, 0x3000..0x5000]);
    }

    #[test]
    fn the_kernel_is_understood() {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let here = only_what_files_still_have_is_given_back as fn() as usize;
        assert!(
            unchanged(&smaps).iter().any(|pages| pages.contains(&here)),
            "{smaps}"
        );
    }
}
