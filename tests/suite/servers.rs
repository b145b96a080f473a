//! Dialogues with real servers, where this machine has them.

use std::path::Path;
use std::process::Stdio;

use blackbox_exporter::prober::Outcome;
use tokio::process::Command;

use crate::support::probing::{expect_info, log_of};
use crate::support::programs::{find, free_port, skipped, start};
use crate::support::{module, probe_as};

async fn talk(yaml: &str, port: u16) -> Outcome {
    module(yaml);
    let outcome = probe_as(yaml, &format!("127.0.0.1:{port}"), None).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    outcome
}

#[tokio::test]
async fn redis() {
    let Some(program) = find("redis-server") else {
        return;
    };
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    let _server = start(
        Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .current_dir(folder.path()),
        port,
    )
    .await;
    let yaml = r#"
prober: tcp
tcp:
  query_response:
    - send: PING
    - expect: '^\+PONG$'
    - send: INFO server
    - expect: '^redis_version:(\d+)\.(\d+)'
      labels: [{name: version, value: '${1}.$2'}]
    - send: QUIT
"#;
    let outcome = talk(yaml, port).await;
    let info = expect_info(&outcome);
    assert!(info[0].starts_with("version="), "{info:?}");
}

#[tokio::test]
async fn memcached() {
    let Some(program) = find("memcached") else { return };
    let port = free_port();
    let mut command = Command::new(program);
    command.args(["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0"]);
    if is_root() {
        command.args(["-u", "root"]);
    }
    let _server = start(&mut command, port).await;
    let yaml = r#"
prober: tcp
tcp:
  query_response:
    - send: "version\r"
    - expect: '^VERSION (.+)$'
      labels: [{name: version, value: $1}]
    - send: "set a 0 0 5\r\nhello\r"
    - expect: ^STORED$
    - send: "get a\r"
    - expect_bytes: "VALUE a 0 5\r\nhello\r\nEND\r\n"
"#;
    let info = expect_info(&talk(yaml, port).await);
    assert!(info[0].starts_with("version=1."), "{info:?}");
}

#[tokio::test]
async fn openssh() {
    let Some(program) = find("sshd") else { return };
    let Some(keygen) = find("ssh-keygen") else { return };
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    let key = folder.path().join("key");
    let made = Command::new(keygen)
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .await
        .unwrap();
    assert!(made.success());
    let mut command = Command::new(program);
    command
        .args([
            "-D",
            "-e",
            "-f",
            "/dev/null",
            "-o",
            "UsePAM=no",
            "-o",
            "PidFile=none",
        ])
        .args(["-o", &format!("ListenAddress=127.0.0.1:{port}"), "-h"])
        .arg(&key);
    // Its place for the process without rights, which its start-up script makes.
    if !Path::new("/run/sshd").is_dir() && std::fs::create_dir("/run/sshd").is_err() {
        return skipped("/run/sshd");
    }
    let _server = start(&mut command, port).await;
    let yaml = r#"
prober: tcp
tcp:
  query_response:
    - expect: '^SSH-(?P<proto>[\d.]+)-(\S+)( (.*))?$'
      send: SSH-2.0-blackbox-ssh-check
      labels: [{name: proto, value: $proto}, {name: software, value: '${2}'}]
"#;
    let info = expect_info(&talk(yaml, port).await);
    assert_eq!(info[0], "proto=2.0");
    assert!(info[1].starts_with("software=OpenSSH"), "{info:?}");
}

/// IMAP and POP3, in the clear and going on in TLS.
#[tokio::test]
async fn dovecot() {
    let Some(program) = find("dovecot") else { return };
    let Some(openssl) = find("openssl") else { return };
    if !is_root() {
        return skipped("root, for dovecot");
    }
    let (imap, pop3, folder) = (free_port(), free_port(), tempfile::tempdir().unwrap());
    let at = folder.path().to_str().unwrap();
    let made = Command::new(openssl)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ])
        .args([
            "-keyout",
            &format!("{at}/key.pem"),
            "-out",
            &format!("{at}/cert.pem"),
        ])
        .stderr(Stdio::null())
        .status()
        .await
        .unwrap();
    assert!(made.success());
    let config = format!(
        "base_dir = {at}/run\nprotocols = imap pop3\nlog_path = {at}/log\nlisten = 127.0.0.1\nssl = yes\n\
         ssl_cert = <{at}/cert.pem\nssl_key = <{at}/key.pem\nmail_location = maildir:{at}/mail\n\
         disable_plaintext_auth = no\ndefault_login_user = nobody\ndefault_internal_user = nobody\n\
         default_internal_group = nogroup\npassdb {{\n driver = static\n args = password=x\n}}\nuserdb {{\n driver = static\n}}\n\
         service imap-login {{\n chroot =\n inet_listener imap {{\n port = {imap}\n }}\n inet_listener imaps {{\n port = 0\n }}\n}}\n\
         service pop3-login {{\n chroot =\n inet_listener pop3 {{\n port = {pop3}\n }}\n inet_listener pop3s {{\n port = 0\n }}\n}}\n\
         service anvil {{\n chroot =\n}}\n"
    );
    std::fs::write(folder.path().join("dovecot.conf"), config).unwrap();
    let mut command = Command::new(program);
    command.args(["-F", "-c", &format!("{at}/dovecot.conf")]);
    let mut server = start(&mut command, imap).await;
    let tls = format!("tls_config: {{ca_file: {at}/cert.pem}}");
    talk(
        &format!(
            r#"
prober: tcp
tcp:
  {tls}
  query_response:
    - expect: '^\* OK'
    - send: "a1 STARTTLS\r"
    - expect: '^a1 OK'
    - starttls: true
    - send: "a2 CAPABILITY\r"
    - expect: '^\* CAPABILITY.* IMAP4rev1'
    - send: "a3 LOGOUT\r"
    - expect: '^\* BYE'
    - expect: '^a3 OK'
"#
        ),
        imap,
    )
    .await;
    talk(
        &format!(
            r#"
prober: tcp
tcp:
  {tls}
  query_response:
    - expect: '^\+OK'
      send: "STLS\r"
    - expect: '^\+OK'
      starttls: true
    - send: "CAPA\r"
    - expect: '^\+OK'
    - expect: '^UIDL$'
    - send: "QUIT\r"
    - expect: '^\+OK'
"#
        ),
        pop3,
    )
    .await;
    // Ends its helpers too, which killing it would leave behind.
    if let Some(id) = server.id() {
        let _ = Command::new("kill").arg(id.to_string()).status().await;
        let _ = server.wait().await;
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}
