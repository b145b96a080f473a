//! unbound, serving a zone of a test.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::programs::free_port;
use super::tls_peer::SelfSigned;

/// The server in a folder of its own, stopped when the test ends.
pub struct Unbound {
    /// Where it answers over UDP and TCP.
    pub plain: SocketAddr,
    /// Where it answers within TLS.
    pub tls: SocketAddr,
    /// Where it answers over HTTPS, unless the ports were given.
    pub https: SocketAddr,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Unbound {
    /// Starts it with a zone that it has all authority of, on two free ports, or on those given.
    pub async fn start(
        program: &Path,
        (origin, zone): (&str, &str),
        identity: &SelfSigned,
        ports: Option<[u16; 2]>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("zone"), zone).unwrap();
        identity.write(folder.path());
        // unbound takes no port 0: a port that was free a moment ago is tried, and another when somebody was faster.
        loop {
            let [plain, tls] = ports.unwrap_or_else(|| [free_port(), free_port()]);
            let https = free_port();
            let configuration = format!(
                "server:\n interface: 127.0.0.1@{plain}\n interface: 127.0.0.1@{tls}\n tls-port: {tls}\n \
                 interface: 127.0.0.1@{https}\n https-port: {https}\n nsid: ascii_probed\n do-daemonize: no\n \
                 username: \"\"\n chroot: \"\"\n directory: {:?}\n pidfile: \"\"\n use-syslog: no\n logfile: \"\"\n \
                 module-config: iterator\n tls-service-key: key.pem\n tls-service-pem: cert.pem\n \
                 access-control: 127.0.0.0/8 allow\n num-threads: 1\n local-zone: test. nodefault\n\
                 auth-zone:\n name: {origin}\n zonefile: zone\n for-upstream: no\n for-downstream: yes\n\
                 remote-control:\n control-enable: no\n",
                folder.path(),
            );
            std::fs::write(folder.path().join("unbound.conf"), configuration).unwrap();
            let mut process = Command::new(program)
                .arg("-c")
                .arg(folder.path().join("unbound.conf"))
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let [plain, tls, https] =
                [plain, tls, https].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            while process.try_wait().unwrap().is_none() {
                if TcpStream::connect(plain).await.is_ok()
                    && TcpStream::connect(tls).await.is_ok()
                    && TcpStream::connect(https).await.is_ok()
                {
                    return Self {
                        plain,
                        tls,
                        https,
                        process,
                        _folder: folder,
                    };
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(ports.is_none(), "unbound does not start on ports {ports:?}");
        }
    }

    /// Ends it; when this returns, nobody listens on its ports.
    pub async fn stop(mut self) {
        self.process.kill().await.unwrap();
    }
}
