//! The programs of this machine that tests talk to.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Says what a test needs and does not have here. Where `REQUIRE_PROGRAMS` is set, as in CI, the test fails.
pub fn skipped(needs: &str) {
    assert!(
        std::env::var_os("REQUIRE_PROGRAMS").is_none(),
        "this test needs {needs}"
    );
    println!("skipped: needs {needs}");
}

/// Where a program is; `None`, after saying so, when it is not installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin", "/usr/local/sbin"])
        .map(|folder| Path::new(folder).join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        skipped(name);
    }
    found
}

/// Runs a program to its end in a folder; it succeeds.
pub fn run<'a>(
    program: impl AsRef<std::ffi::OsStr>,
    arguments: impl IntoIterator<Item = &'a str>,
    folder: &Path,
) {
    let mut command = std::process::Command::new(program);
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// A free port for TCP and UDP, which no other test of this process gets: below those that the system gives to connections, one of which would
/// take it before it is used.
pub fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(97)));
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % 20_000;
        let port = 10_000 + u16::try_from(next).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Starts an OpenSSL server in a folder and reads its port from where it says that it listens: its responder waits forever for
/// the request of who only connects. It ends with the handle.
pub async fn openssl(folder: &Path, arguments: &str) -> (Child, u16) {
    let mut server = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap();
        let line = line.expect("openssl says where it listens");
        if let Some(rest) = line.strip_prefix("ACCEPT ") {
            let address = rest.split(' ').next().unwrap();
            return (server, address.rsplit(':').next().unwrap().parse().unwrap());
        }
    }
}

/// Starts a server and waits until it listens on `port`; it ends with the handle.
pub async fn start(command: &mut Command, port: u16) -> Child {
    let mut server = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    for _ in 0..500 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return server;
        }
        let ended = server.try_wait().unwrap();
        assert!(ended.is_none(), "{command:?} ended with {ended:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{command:?} does not listen on {port}");
}
