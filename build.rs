//! Tells the program from what it was built: `BUILD_REVISION`, `BUILD_BRANCH` and `BUILD_RUSTC`, unless the environment
//! says so already. `BUILD_USER` and `BUILD_DATE` come from the environment alone, so that builds can be reproduced.

use std::process::Command;

fn main() {
    for variable in [
        "BUILD_REVISION",
        "BUILD_BRANCH",
        "BUILD_USER",
        "BUILD_DATE",
        "BUILD_RUSTC",
    ] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    // Changes with every commit and checkout. Outside of a repository there is none, and nothing to tell.
    if let Some(head) = run("git", &["rev-parse", "--git-path", "logs/HEAD"])
        && std::path::Path::new(&head).exists()
    {
        println!("cargo::rerun-if-changed={head}");
    }
    tell("BUILD_REVISION", || run("git", &["rev-parse", "HEAD"]));
    tell("BUILD_BRANCH", || {
        run("git", &["rev-parse", "--abbrev-ref", "HEAD"])
    });
    tell("BUILD_RUSTC", || {
        let rustc = std::env::var("RUSTC").ok()?;
        let version = run(&rustc, &["--version"])?;
        version.split(' ').nth(1).map(|number| format!("rust{number}"))
    });
}

fn tell(variable: &str, find: impl FnOnce() -> Option<String>) {
    if std::env::var_os(variable).is_none()
        && let Some(value) = find()
    {
        println!("cargo::rustc-env={variable}={value}");
    }
}

/// The first line that a program prints, if it succeeds.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
