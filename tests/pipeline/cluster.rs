//! Alloy's clustering with the targets of `/targets`. Alloy itself cannot be installed here, so its rule is restated
//! from its source (`discovery/distributed_targets.go`, `service/cluster`): the key of a target is a hash of all labels
//! that do not begin with `__meta_`; a ring with 512 tokens per node names its owner; every node computes this for
//! itself, from what it read. Which hash it is does not matter for the rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde_json::Value;

use crate::support::{Exporter, get_as, repository};

const NODES: [&str; 3] = ["192.0.2.11:12345", "192.0.2.12:12345", "192.0.2.13:12345"];
const TARGETS: usize = 300;
const TOKENS: usize = 512;

type Labels = BTreeMap<String, String>;

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn owner(target: &Labels, ring: &BTreeMap<u64, &'static str>) -> &'static str {
    let labels: Vec<_> = target
        .iter()
        .filter(|(name, _)| !name.starts_with("__meta_"))
        .collect();
    let key = hash(labels);
    let next = ring.range(key..).next().or_else(|| ring.first_key_value());
    next.unwrap().1
}

/// How many scrapes each target gets when every node reads the targets of its own exporter.
fn scrapes(targets_file: impl Fn(usize) -> String) -> BTreeMap<String, usize> {
    let ring: BTreeMap<u64, &'static str> = NODES
        .into_iter()
        .flat_map(|node| (0..TOKENS).map(move |token| (hash((node, token)), node)))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let mut scrapes = BTreeMap::new();
    for (number, node) in NODES.into_iter().enumerate() {
        let file = directory.path().join(format!("{number}.yml"));
        fs::write(&file, targets_file(number)).unwrap();
        let flag = format!("--targets.file={}", file.display());
        let exporter = Exporter::start(&repository("blackbox.yml"), &[&flag]);
        // On every host the exporter is asked at the same address.
        let (status, body) = get_as(&exporter.address, "127.0.0.1:9115", "/targets").unwrap();
        assert_eq!(status, 200, "{body}");
        for group in serde_json::from_str::<Vec<Value>>(&body).unwrap() {
            let mut labels: Labels = serde_json::from_value(group["labels"].clone()).unwrap();
            labels.insert(
                "__address__".to_owned(),
                group["targets"][0].as_str().unwrap().to_owned(),
            );
            // As discovery.http adds it.
            labels.insert("__meta_url".to_owned(), format!("http://{node}/"));
            let times = scrapes.entry(labels["target"].clone()).or_default();
            *times += usize::from(owner(&labels, &ring) == node);
        }
    }
    assert_eq!(scrapes.len(), TARGETS);
    scrapes
}

fn list(labels: &str) -> String {
    let targets = (0..TARGETS).map(|n| {
        format!("  - {{name: job{n}, address: 'host{n}:443', module: tcp_connect, labels: {{{labels}}}}}\n")
    });
    format!("targets:\n{}", targets.collect::<String>())
}

#[test]
fn the_same_targets_everywhere_are_scraped_once_each() {
    let scrapes = scrapes(|_| list("team: web"));
    let times: BTreeSet<usize> = scrapes.into_values().collect();
    assert_eq!(times, BTreeSet::from([1]));
}

/// Why the exporter warns of it.
#[test]
fn an_instance_per_host_leaves_targets_out_and_doubles_others() {
    let scrapes = scrapes(|host| list(&format!("instance: 192.0.2.1{host}")));
    let times: BTreeSet<usize> = scrapes.into_values().collect();
    assert!(times.contains(&0) && times.contains(&2), "{times:?}");
}
