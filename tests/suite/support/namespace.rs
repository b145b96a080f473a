//! Tests in a network and mount namespace of their own, where they may be anybody and break everything.

use std::process::Command;

use super::programs::skipped;

/// Runs the test once more in a namespace that `setup` (shell) furnishes. `false` means: this is that second run.
pub fn outside(test: &str, setup: &str) -> bool {
    if is_inside() {
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let script = format!("ip link set lo up && {{ {setup}; }} && exec \"$0\" \"$@\"");
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount"]);
        command
    };
    let possible = unshare().args(["ip", "link"]).output();
    if !possible.is_ok_and(|o| o.status.success()) {
        skipped("root, unshare and ip");
        return true;
    }
    let out = unshare()
        .args(["sh", "-c", &script])
        .arg(&program)
        .args(["--exact", test, "--nocapture"])
        .env("IN_NAMESPACE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    true
}

/// Whether this is the run in the namespace.
pub fn is_inside() -> bool {
    std::env::var_os("IN_NAMESPACE").is_some()
}
