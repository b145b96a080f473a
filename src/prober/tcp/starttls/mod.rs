//! `tcp.starttls` (ours): asks in a protocol's own words to go on in TLS, and takes leave in them when there is no dialogue.

mod error;
mod ldap;
mod lines;
mod mysql;
mod postgres;
mod wire;
mod xmpp;

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::config::StartTls;
use crate::log;
use crate::module::Step;
use crate::net::{AnyStream, Deadline};
use crate::prober::connect::Stream;
use crate::prober::query_response::{self, Upgrade};
use crate::prober::{Phase, Probe, Verdict};
use error::StartTlsError;
use wire::Wire;

/// How long the server has to close the connection when the probe took its leave.
const LEAVE: Duration = Duration::from_secs(1);

/// Most bytes that are read while the server takes its leave.
const MOST_FAREWELL: u64 = 64 << 10;

/// Asks for TLS, shakes hands and runs the steps.
///
/// # Errors
/// [`Failed`](crate::prober::Failed) after the reason was logged.
pub(super) async fn run(
    probe: &mut Probe<'_>,
    stream: Stream,
    protocol: StartTls,
    steps: &[Step],
    upgrade: Upgrade<'_>,
) -> Verdict {
    query_response::begin(probe);
    let name = upgrade.server_name;
    let own = stream.own_address();
    let from = Instant::now();
    let mut wire = Wire::new(Box::new(stream), probe.deadline, &mut probe.log);
    let asked = ask(&mut wire, protocol, name, own).await;
    let awaited = wire.awaited;
    let connection = wire.connection;
    probe.timeline.record(Phase::Setup, from, probe.end(from));
    if let Err(error) = asked {
        if matches!(
            error,
            StartTlsError::Refused { .. } | StartTlsError::NotOffered { .. }
        ) {
            leave(probe, connection, protocol, name, false).await;
        }
        let reason = error.reason();
        probe.advise(error.advice(protocol));
        let error = format!("{}: {}", protocol.name(), error.told(awaited));
        probe.timeline.hop().result = Some(error.clone());
        log!(probe.log, Error, "The server did not switch to TLS", "err" => error);
        return Err(probe.fail(reason));
    }
    log!(probe.log, Debug, "The server switches to TLS", "protocol" => protocol.name());
    let connection = query_response::start_tls(probe, connection, upgrade).await?;
    if steps.is_empty() {
        leave(probe, connection, protocol, name, true).await;
        return Ok(());
    }
    query_response::run(probe, connection, true, steps, upgrade).await
}

/// Asks for TLS. Afterwards the next bytes on the wire are those of the handshake.
async fn ask(
    wire: &mut Wire<'_, '_>,
    protocol: StartTls,
    name: &str,
    own: Option<IpAddr>,
) -> Result<(), StartTlsError> {
    match protocol {
        StartTls::Ldap => ldap::ask(wire).await,
        StartTls::Mysql => mysql::ask(wire).await,
        StartTls::Postgres => postgres::ask(wire).await,
        StartTls::Xmpp => xmpp::ask(wire, xmpp::CLIENT, name).await,
        StartTls::XmppServer => xmpp::ask(wire, xmpp::SERVER, name).await,
        StartTls::Smtp => lines::ask(wire, &lines::SMTP, own).await,
        StartTls::Lmtp => lines::ask(wire, &lines::LMTP, own).await,
        StartTls::Imap => lines::ask(wire, &lines::IMAP, own).await,
        StartTls::Pop3 => lines::ask(wire, &lines::POP3, own).await,
        StartTls::Ftp => lines::ask(wire, &lines::FTP, own).await,
        StartTls::Sieve => lines::ask(wire, &lines::SIEVE, own).await,
        StartTls::Nntp => lines::ask(wire, &lines::NNTP, own).await,
        StartTls::Irc => lines::ask(wire, &lines::IRC, own).await,
    }?;
    // What somebody on the way put behind the consent would be taken for the server's protected words (CVE-2011-0411).
    match wire.surplus() {
        0 => Ok(()),
        bytes => Err(StartTlsError::Surplus { bytes }),
    }
}

/// The last words of a client in a protocol; empty where it just closes.
fn last_words(protocol: StartTls, name: &str) -> Vec<u8> {
    match protocol {
        StartTls::Smtp | StartTls::Lmtp | StartTls::Pop3 | StartTls::Ftp | StartTls::Nntp | StartTls::Irc => {
            b"QUIT\r\n".to_vec()
        }
        StartTls::Imap => b"a2 LOGOUT\r\n".to_vec(),
        StartTls::Sieve => b"LOGOUT\r\n".to_vec(),
        StartTls::Ldap => ldap::UNBIND.to_vec(),
        StartTls::Xmpp => xmpp::stream_and_end(name),
        // The last word of a login in MySQL.
        StartTls::Mysql => mysql::QUIT.to_vec(),
        // Another stream would have to say who we are, with a certificate.
        StartTls::XmppServer | StartTls::Postgres => Vec::new(),
    }
}

/// Takes leave, and waits until the server has closed: closing while its words are on the way would reset the connection. What
/// comes of it is no matter of the probe.
async fn leave(
    probe: &mut Probe<'_>,
    connection: Box<dyn AnyStream + '_>,
    protocol: StartTls,
    name: &str,
    is_encrypted: bool,
) {
    let deadline = Deadline::after(Instant::now(), LEAVE.min(probe.deadline.left()));
    let mut wire = Wire::new(connection, deadline, &mut probe.log);
    if protocol == StartTls::Mysql && mysql::log_in(&mut wire, is_encrypted).await.is_err() {
        return;
    }
    let mut connection = wire.connection;
    let words = last_words(protocol, name);
    let parting = async {
        if words.is_empty() {
            connection.shutdown().await?;
        } else {
            connection.write_all(&words).await?;
            connection.flush().await?;
        }
        tokio::io::copy(&mut (&mut connection).take(MOST_FAREWELL), &mut tokio::io::sink()).await?;
        connection.shutdown().await
    };
    let _ = deadline.within(parting).await;
}
