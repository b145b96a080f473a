//! `tcp.starttls`: every protocol with a scripted server, and servers that refuse, stay silent, never end or say too much.

use std::time::Duration;

use blackbox_exporter::config::{self, Prober, StartTls};
use blackbox_exporter::metrics::Metric;
use blackbox_exporter::prober::Outcome;

use crate::support::peer::{Move, Peer, send};
use crate::support::probing::{PATIENT, log_of, run};
use crate::support::tls_peer::Identity;
use Move::{Read, ReadLine};

macro_rules! xmpp {
    ($kind:literal) => {
        concat!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:",
            $kind,
            "' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>"
        )
    };
}
macro_rules! starttls {
    () => {
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    };
}
fn module(protocol: StartTls) -> config::Module {
    let mut module = config::Module::new(Prober::Tcp);
    module.tcp.starttls = Some(protocol);
    module
}

/// What a server says and reads before the handshake, and what the probe said then and in TLS.
fn script(protocol: StartTls) -> (Vec<Move>, &'static [u8], &'static [u8]) {
    match protocol {
        StartTls::Smtp => (
            vec![
                send("220-mail.test\r\n220 ESMTP\r\n"),
                ReadLine,
                send("250-mail.test\r\n250-STARTTLS\r\n250 HELP\r\n"),
                ReadLine,
                send("220 2.0.0 go\r\n"),
            ],
            b"EHLO [127.0.0.1]\r\nSTARTTLS\r\n",
            b"QUIT\r\n",
        ),
        StartTls::Lmtp => (
            vec![
                send("220 LMTP\r\n"),
                ReadLine,
                send("250-x\r\n250 STARTTLS\r\n"),
                ReadLine,
                send("220 go\r\n"),
            ],
            b"LHLO [127.0.0.1]\r\nSTARTTLS\r\n",
            b"QUIT\r\n",
        ),
        StartTls::Imap => (
            vec![
                send("* OK [CAPABILITY STARTTLS] ready\r\n"),
                ReadLine,
                send("* OK wait\r\na1 OK go\r\n"),
            ],
            b"a1 STARTTLS\r\n",
            b"a2 LOGOUT\r\n",
        ),
        StartTls::Pop3 => (
            vec![send("+OK ready\r\n"), ReadLine, send("+OK go\r\n")],
            b"STLS\r\n",
            b"QUIT\r\n",
        ),
        StartTls::Ftp => (
            vec![
                send("220-Welcome\r\n 220 to all\r\n220 FTP\r\n"),
                ReadLine,
                send("234 go\r\n"),
            ],
            b"AUTH TLS\r\n",
            b"QUIT\r\n",
        ),
        StartTls::Sieve => (
            vec![
                send("\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\nOK \"ready\"\r\n"),
                ReadLine,
                send("OK \"go\"\r\n"),
            ],
            b"STARTTLS\r\n",
            b"LOGOUT\r\n",
        ),
        StartTls::Nntp => (
            vec![send("201 no posting\r\n"), ReadLine, send("382 go\r\n")],
            b"STARTTLS\r\n",
            b"QUIT\r\n",
        ),
        StartTls::Irc => (
            vec![
                send(":irc.test NOTICE * :*** Looking up your hostname\r\n"),
                ReadLine,
                send(":irc.test 670 * :STARTTLS successful\r\n"),
            ],
            b"STARTTLS\r\n",
            b"QUIT\r\n",
        ),
        StartTls::Ldap => (
            vec![
                Read(31),
                send(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
            ],
            b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
            b"\x30\x05\x02\x01\x02\x42\x00",
        ),
        StartTls::Xmpp => (
            vec![
                Read(XMPP.len()),
                send("<?xml version='1.0'?><stream:stream xmlns:stream='s' from='a>b'><stream:features>"),
                send("<starttls xmlns='t'><required/></starttls></stream:features>"),
                Read(51),
                send("<proceed xmlns='t'/>"),
            ],
            concat!(xmpp!("client"), starttls!()).as_bytes(),
            concat!(xmpp!("client"), "</stream:stream>").as_bytes(),
        ),
        StartTls::XmppServer => (
            vec![
                Read(XMPP.len()),
                send("<stream:stream xmlns:stream='s'><stream:features><starttls xmlns='t'/></stream:features>"),
                Read(51),
                send("<proceed xmlns='t'></proceed>"),
            ],
            concat!(xmpp!("server"), starttls!()).as_bytes(),
            b"",
        ),
        StartTls::Postgres => (
            vec![Read(8), send("S")],
            b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
            b"",
        ),
        StartTls::Mysql => (
            vec![
                send(b"\x26\0\0\0\x0a8.0.1\0\x01\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0"),
                Read(36),
            ],
            b"\x20\0\0\x01\x00\x8a\x08\0\0\0\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x3e\0\0\x02\x00\x8a\x08\0\0\0\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0prober\0\0mysql_native_password\0",
        ),
    }
}

const XMPP: &str = xmpp!("client");

/// The probe says these words and no other, goes on in TLS and takes its leave.
#[tokio::test]
async fn each_protocol_goes_on_in_tls() {
    let identity = Identity::local();
    for protocol in StartTls::ALL {
        let (outside, before, after) = script(protocol);
        // MySQL's login is refused; the others see the end of the connection.
        let inside = match after.len() {
            0 => vec![],
            length => vec![Read(length), Move::Close],
        };
        let (address, server) = identity.play(outside, inside).await;
        let mut module = module(protocol);
        module.tcp.tls_config.ca.clone_from(&identity.authority);
        module.tcp.tls_config.server_name = "localhost".into();
        let outcome = run(module, &address.to_string(), PATIENT).await;
        assert!(outcome.success, "{protocol:?}: {}", log_of(&outcome));
        let (was_before, was_after) = server.await.unwrap();
        assert_eq!(
            was_before.escape_ascii().to_string(),
            before.escape_ascii().to_string()
        );
        assert_eq!(
            was_after.escape_ascii().to_string(),
            after.escape_ascii().to_string()
        );
        assert!(outcome.samples.value(Metric::SslEarliestCertExpiry).is_some());
        assert_eq!(outcome.samples.value(Metric::FailedDueToRegex), Some(0.0));
    }
}

/// A dialogue follows inside TLS; then nothing is added to it.
#[tokio::test]
async fn the_dialogue_goes_on_inside() {
    let identity = Identity::local();
    let (outside, before, _) = script(StartTls::Smtp);
    let (address, server) = identity
        .play(outside, vec![ReadLine, send("250 AUTH PLAIN\r\n")])
        .await;
    let mut module = module(StartTls::Smtp);
    module.tcp.tls_config.ca.clone_from(&identity.authority);
    module.tcp.query_response = vec![
        config::QueryResponse {
            send: "EHLO prober\r".into(),
            ..config::QueryResponse::default()
        },
        config::QueryResponse {
            expect: Some("^250 AUTH".into()),
            ..config::QueryResponse::default()
        },
    ];
    let outcome = run(module, &address.to_string(), PATIENT).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    assert_eq!(
        server.await.unwrap(),
        (before.to_vec(), b"EHLO prober\r\n".to_vec())
    );
}

/// Somebody on the way writes behind the consent what would count as said in TLS (CVE-2011-0411, CVE-2021-23222).
#[tokio::test]
async fn words_behind_the_consent_are_refused() {
    let identity = Identity::local();
    for protocol in StartTls::ALL {
        // MySQL's server says nothing between the client's words and the handshake, but for what follows its greeting.
        let (mut outside, ..) = script(protocol);
        let last = outside.iter_mut().rev().find_map(|one| match one {
            Move::Send(bytes) => Some(bytes),
            _ => None,
        });
        last.unwrap().extend(b"250 injected\r\n");
        let (address, _server) = identity.play(outside, vec![]).await;
        let mut module = module(protocol);
        module.tcp.tls_config.insecure_skip_verify = true;
        let outcome = run(module, &address.to_string(), PATIENT).await;
        let log = log_of(&outcome);
        assert!(!outcome.success, "{protocol:?}: {log}");
        assert!(log.contains("14 bytes follow"), "{protocol:?}: {log}");
        assert!(outcome.samples.value(Metric::SslEarliestCertExpiry).is_none());
    }
}

async fn failed(protocol: StartTls, moves: Vec<Move>, timeout: Duration) -> Outcome {
    let peer = Peer::play(moves).await;
    let outcome = run(module(protocol), &peer.target(), timeout).await;
    assert!(!outcome.success, "{protocol:?}");
    outcome
}

#[tokio::test]
async fn refusals_are_quoted() {
    use StartTls::*;
    #[rustfmt::skip]
    let rows: [(StartTls, Vec<Move>, &str); 21] = [
        (Smtp, vec![send("554 no\r\n"), Move::Close], "smtp: the greeting is \"554 no\""),
        (Smtp, vec![send("SSH-2.0-x\r\n"), Move::Close], "smtp: the greeting is \"SSH-2.0-x\""),
        (
            Smtp,
            vec![send("220 x\r\n"), ReadLine, send("250 x\r\n"), Move::Close],
            "smtp: the server does not offer TLS: the response to EHLO ends with \"250 x\"",
        ),
        (
            Smtp,
            vec![
                send("220 x\r\n"),
                ReadLine,
                send("250 STARTTLS\r\n"),
                ReadLine,
                send("454 4.7.0 TLS not available\r\n"),
                Move::Close,
            ],
            "smtp: the response to STARTTLS is \"454 4.7.0 TLS not available\"",
        ),
        (Imap, vec![send("* PREAUTH\r\n"), Move::Close], "imap: the greeting is \"* PREAUTH\""),
        (
            Imap,
            vec![send("* OK\r\n"), ReadLine, send("a1 BAD what\r\n"), Move::Close],
            "imap: the response to STARTTLS is \"a1 BAD what\"",
        ),
        (
            Pop3,
            vec![send("+OK\r\n"), ReadLine, send("-ERR no TLS\r\n"), Move::Close],
            "pop3: the response to STLS is \"-ERR no TLS\"",
        ),
        (
            Ftp,
            vec![
                send("220 x\r\n"),
                ReadLine,
                send("530 Please login\r\n"),
                Move::Close,
            ],
            "ftp: the response to AUTH TLS is \"530 Please login\"",
        ),
        (
            Sieve,
            vec![send("\"SASL\" \"\"\r\nOK\r\n"), Move::Close],
            "sieve: the server does not offer TLS: the greeting ends with \"OK\"",
        ),
        (
            Nntp,
            vec![send("200 x\r\n"), ReadLine, send("580 no\r\n"), Move::Close],
            "nntp: the response to STARTTLS is \"580 no\"",
        ),
        (
            Irc,
            vec![
                ReadLine,
                send(":irc 451 * STARTTLS :You have not registered\r\n"),
                Move::Close,
            ],
            "irc: the response to STARTTLS is \":irc 451 * STARTTLS :You have not registered\"",
        ),
        (Postgres, vec![Read(8), send("N"), Move::Close], "postgres: the server does not offer TLS: the response to the SSLRequest ends with \"N\""),
        (
            Postgres,
            vec![
                Read(8),
                send(b"E\0\0\0\x1dSFATAL\0C53300\0Mtoo many\0\0"),
                Move::Close,
            ],
            "postgres: the response to the SSLRequest is \"too many\"",
        ),
        (
            Postgres,
            vec![Read(8), send(b"Ecould not fork\n\0"), Move::Close],
            "postgres: the response to the SSLRequest is \"could not fork\"",
        ),
        (
            Mysql,
            vec![send(b"\x18\0\0\0\xff\x10\x04Too many connections!")],
            "mysql: the greeting is \"error 1040: Too many connections!\"",
        ),
        (
            Mysql,
            vec![
                send(b"\x16\0\0\0\x0a5.0\0\x01\0\0\0abcdefgh\0\xff\xf7\0\0"),
                Move::Close,
            ],
            "mysql: the server does not offer TLS",
        ),
        (Mysql, vec![send(b"\x01\0\0\x07\x0a"), Move::Close], "mysql: the greeting is malformed"),
        (
            Ldap,
            vec![
                Read(31),
                send(b"\x30\x0e\x02\x01\x01\x78\x09\x0a\x01\x34\x04\x00\x04\x02no"),
                Move::Close,
            ],
            "ldap: the response to StartTLS is \"result code 52 (unavailable): no\"",
        ),
        (Ldap, vec![Read(31), send("HTTP/1.1 400\r\n"), Move::Close], "ldap: the response to StartTLS is malformed"),
        (
            Xmpp,
            vec![
                Read(10),
                send(
                    "<stream:stream xmlns:stream='s'><stream:error><host-unknown/><text>no</text></stream:error>",
                ),
                Move::Close,
            ],
            "xmpp: the stream's features is \"<stream:error><host-unknown/><text>no</text></stream:error>\"",
        ),
        (
            XmppServer,
            vec![
                Read(10),
                send("<stream:stream xmlns:stream='s'><stream:features><bind/></stream:features>"),
                Move::Close,
            ],
            "xmpp-server: the server does not offer TLS",
        ),
    ];
    for (protocol, moves, want) in rows {
        let outcome = failed(protocol, moves, PATIENT).await;
        let log = log_of(&outcome).replace('\\', "");
        assert!(log.contains(want), "{want}\n{log}");
    }
}

/// The response that does not come is named.
#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let timeout = Duration::from_secs(2);
    let silent =
        StartTls::ALL.map(|protocol| async move { (protocol, failed(protocol, vec![], timeout).await) });
    for (protocol, outcome) in futures_util::future::join_all(silent).await {
        let log = log_of(&outcome);
        assert!(log.contains("waiting for the "), "{protocol:?}: {log}");
        assert!(log.contains("ran out"), "{protocol:?}: {log}");
    }
}

/// What came of it is shown, such as the first line of a server that greets late.
#[tokio::test]
async fn an_unfinished_response_is_quoted() {
    let timeout = Duration::from_secs(1);
    let rows = [
        (
            StartTls::Smtp,
            send("220-mail.test\r\n"),
            "waiting for the rest of the greeting, behind \"220-mail.test\": ",
        ),
        (
            StartTls::Imap,
            send("* OK"),
            "waiting for the rest of the greeting, behind \"* OK\": ",
        ),
    ];
    for (protocol, first, want) in rows {
        let log = log_of(&failed(protocol, vec![first], timeout).await).replace('\\', "");
        assert!(log.contains(want), "{want}\n{log}");
        assert!(log.contains("ran out"), "{log}");
    }
}

#[tokio::test]
async fn an_end_is_an_end() {
    for protocol in StartTls::ALL {
        let log = log_of(&failed(protocol, vec![Move::Close], PATIENT).await);
        assert!(
            log.contains("the peer closed the connection")
                || log.contains("reset")
                || log.contains("broken pipe"),
            "{protocol:?}: {log}"
        );
    }
}

/// Lines without end, lines without number, elements without end: a bounded number of bytes is read.
#[tokio::test]
async fn endless_words_are_cut_off() {
    let rows: [(StartTls, &str, &str); 11] = [
        (StartTls::Smtp, "", "220-more\r\n"),
        (StartTls::Lmtp, "", "a"),
        (StartTls::Imap, "* OK\r\n", "* more\r\n"),
        (StartTls::Sieve, "", "\"X\"\r\n"),
        (StartTls::Irc, "", "NOTICE x\r\n"),
        (StartTls::Xmpp, "<stream:features>", "<a/>"),
        (StartTls::Xmpp, "", "text"),
        // Each of them may be the end of a tag whose beginning is long.
        (StartTls::Xmpp, "<a b='", ">"),
        (StartTls::XmppServer, "<stream:error>", "<a b='>'/>"),
        (StartTls::Ldap, "\x30\x7f", "a"),
        (StartTls::Postgres, "E", "a"),
    ];
    for (protocol, first, rest) in rows {
        let moves = vec![send(first), Move::Forever(rest.repeat(100).into_bytes())];
        let outcome = failed(protocol, moves, PATIENT).await;
        let log = log_of(&outcome);
        let is_bounded = log.contains("sent more than 65536 bytes") || log.contains("malformed");
        let is_error = protocol == StartTls::XmppServer && log.contains("<stream:error>");
        assert!(
            is_bounded || is_error,
            "{protocol:?}: {}",
            &log[log.len().saturating_sub(2000)..]
        );
        assert!(outcome.duration < PATIENT / 5, "{protocol:?}, {rest}");
    }
}

/// A server that does not let go does not hold the probe for long.
#[tokio::test]
async fn a_server_that_stays_is_left() {
    let identity = Identity::local();
    let (outside, _, _) = script(StartTls::Smtp);
    let (address, _server) = identity.play(outside, vec![]).await;
    let mut module = module(StartTls::Smtp);
    module.tcp.tls_config.ca.clone_from(&identity.authority);
    let outcome = run(module, &address.to_string(), PATIENT).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    assert!(outcome.duration < PATIENT / 2);
}
