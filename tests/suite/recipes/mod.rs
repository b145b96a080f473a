//! `examples/modules`: every file loads and is listed in docs/recipes.md, and every recipe is tried with the server that it says.

mod servers;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use blackbox_exporter::config::{self, Prober};
use blackbox_exporter::module;
use tokio::process::{Child, Command};

use crate::support::namespace::outside;
use crate::support::probing::{PATIENT, log_of, run};
use crate::support::programs::{find, free_port, skipped};
use crate::support::tls_peer::SelfSigned;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/modules")
}

/// What a file says of itself in its first lines.
fn about(text: &str) -> [&str; 3] {
    let mut lines = text.lines();
    ["# ", "# Target: ", "# Tried with: "].map(|start| lines.next().unwrap().strip_prefix(start).unwrap())
}

#[test]
fn every_recipe_loads_and_is_listed() {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 25, "{}", files.len());
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes.md")).unwrap();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        module::parse(text.clone(), name).unwrap_or_else(|e| panic!("{}", e.quoted()));
        assert!(config::parse(&text).warnings.is_empty(), "{name}");
        let [what, target, tried] = about(&text);
        let row = format!("| [{name}](../examples/modules/{name}) | {what} | `{target}` | {tried} |");
        assert!(page.contains(&row), "docs/recipes.md lacks\n{row}");
    }
}

/// The portmapper has a port of its own, which this machine's may have.
#[tokio::test]
async fn rpc() {
    if find("rpcbind").is_none() || find("ss").is_none() || !is_root() {
        return;
    }
    let setup = "mount -t tmpfs none /run && { timeout 20 rpcbind -f > /dev/null 2>&1 & }";
    if outside("recipes::rpc", setup) {
        return;
    }
    while !listens(111) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = fs::read_to_string(folder().join("rpc.yml")).unwrap();
    let config = config::parse(&text).config;
    let module = config::Module::clone(config.modules["portmap"].as_ref().unwrap());
    let outcome = run(module, "127.0.0.1:111", PATIENT).await;
    assert!(outcome.success, "{}", log_of(&outcome));
}

/// A server, and the recipe that it is for.
struct Recipe {
    file: &'static str,
    module: &'static str,
    /// Programs that the script runs.
    programs: &'static [&'static str],
    /// `P` is the port.
    target: &'static str,
    /// Starts the server in the foreground on 127.0.0.1. `$P` is its port, `$Q` and `$R` are others; the working folder `$D` has `cert.pem` and
    /// `key.pem`; what it prints and what it writes into the file `log` is its log.
    script: &'static str,
    /// What may be in a line of the log that looks like a fault.
    allowed: &'static [&'static str],
}

/// What a line of a server's log has when something was odd.
const ODD: [&str; 12] = [
    "error",
    "warn",
    "fatal",
    "panic",
    "crit",
    "lost connection",
    "reset",
    "denied",
    "aborted",
    "unencrypted",
    "attack",
    "failed",
];

impl Recipe {
    async fn try_out(&self) {
        for program in self.programs.iter().chain(&["ss"]) {
            if program.starts_with('/') {
                if !Path::new(program).is_file() {
                    return skipped(program);
                }
            } else if find(program).is_none() {
                return;
            }
        }
        if !is_root() {
            return skipped("root, for servers that change their user");
        }
        let text = fs::read_to_string(folder().join(self.file).with_extension("yml")).unwrap();
        let config = config::parse(&text).config;
        let mut module = config::Module::clone(config.modules[self.module].as_ref().unwrap());
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let identity = SelfSigned::local();
        identity.write(folder.path());
        trust(&mut module, &identity);
        let (port, other) = (free_port(), free_port());
        let (mut server, group) = self.start(folder.path(), port, other).await;
        let target = self
            .target
            .replace("PORT", &port.to_string())
            .replace("FOLDER", folder.path().to_str().unwrap());
        let outcome = run(module, &target, PATIENT).await;
        stop(&mut server).await;
        drop(group);
        let log = self.log(folder.path());
        assert!(outcome.success, "{}: {}\n{log}", self.module, log_of(&outcome));
        let odd = |line: &&str| {
            let small = line.to_lowercase();
            ODD.iter().any(|word| small.contains(word))
                && !self.allowed.iter().any(|word| line.contains(word))
        };
        let odd: Vec<&str> = log.lines().filter(odd).collect();
        assert!(odd.is_empty(), "{} logged: {odd:#?}", self.module);
    }

    async fn start(&self, folder: &Path, port: u16, other: u16) -> (Child, Group) {
        let output = fs::File::create(folder.join("output")).unwrap();
        let mut server = Command::new("sh")
            .args(["-ec", &[servers::FUNCTIONS, self.script].concat()])
            .current_dir(folder)
            .env("D", folder)
            .env("P", port.to_string())
            .env("Q", other.to_string())
            .env("R", free_port().to_string())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let group = Group(server.id().unwrap());
        // Looked up, not tried out: the server would log a caller that says nothing.
        for _ in 0..3000 {
            if listens(port) || listens_at(&folder.join("socket")) {
                return (server, group);
            }
            let ended = server.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{}: {ended:?}\n{}",
                self.module,
                self.log(folder)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} does not listen on {port}\n{}", self.module, self.log(folder));
    }

    fn log(&self, folder: &Path) -> String {
        let read = |name| fs::read(folder.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[read("output"), read("log")].concat()).into_owned()
    }
}

/// Has the module believe in the server's certificate, as a user's `tls_config` does in that of a private authority.
fn trust(module: &mut config::Module, identity: &SelfSigned) {
    let tls = match module.prober {
        Prober::Tcp => &mut module.tcp.tls_config,
        Prober::Dns => &mut module.dns.tls_config,
        _ => return,
    };
    tls.ca = identity.pem().0;
    tls.server_name = "localhost".into();
}

/// Whether a program listens on a port. For each read of `/proc/net/tcp`, the kernel would walk through its whole table of connections.
fn listens(port: u16) -> bool {
    let mut ss = std::process::Command::new("ss");
    let found = ss.args(["-Hltn", &format!("sport = :{port}")]).output().unwrap();
    !found.stdout.is_empty()
}

/// Whether a program listens at a unix socket, which is there before.
fn listens_at(socket: &Path) -> bool {
    let mut ss = std::process::Command::new("ss");
    let found = ss.args(["-Hlx", "src"]).arg(socket).output().unwrap();
    String::from_utf8_lossy(&found.stdout).contains("LISTEN")
}

/// The process group of a server: helpers that it left behind end with this, also those of a server that did not start.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::process::Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", self.0)])
            .stderr(Stdio::null())
            .status();
    }
}

/// Ends a server; what it has to log is logged then.
async fn stop(server: &mut Child) {
    if let Some(id) = server.id() {
        let _ = Command::new("kill")
            .args(["-TERM", "--", &id.to_string()])
            .stderr(Stdio::null())
            .status()
            .await;
        let _ = tokio::time::timeout(Duration::from_secs(10), server.wait()).await;
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}
