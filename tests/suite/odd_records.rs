//! TLS servers that send odd records before, between and instead of those of a handshake that is otherwise right (RFC 8446, section 5;
//! RFC 5246, section 6). Verdicts are upstream's except for those in `docs/differences.md`.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::tls_peer::SelfSigned;
use crate::support::{log, probe, spawn};

/// Type, version and body.
type Record = (u8, u16, Vec<u8>);

const CCS: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

fn record(kind: u8, body: &[u8]) -> Record {
    (kind, 0x0303, body.to_vec())
}

fn written(records: &[Record]) -> Vec<u8> {
    let wire = |(kind, version, body): &Record| {
        let length = u16::try_from(body.len()).unwrap();
        [&[*kind][..], &version.to_be_bytes(), &length.to_be_bytes(), body].concat()
    };
    records.iter().flat_map(wire).collect()
}

fn read(mut wire: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let [kind, a, b, high, low, rest @ ..] = wire {
        let (body, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        records.push((*kind, u16::from_be_bytes([*a, *b]), body.to_vec()));
        wire = rest;
    }
    records
}

/// What becomes of the server's first flight.
#[derive(Clone, Debug)]
enum Odd {
    /// These come before its record with this number.
    Before(usize, Vec<Record>),
    /// Its record with this number says this version.
    Version(usize, u16),
    /// Its handshake messages come in pieces of so many bytes.
    Pieces(usize),
}

impl Odd {
    fn apply(self, mut flight: Vec<Record>) -> Vec<Record> {
        match self {
            Self::Before(number, records) => {
                flight.splice(number..number, records);
            }
            Self::Version(number, version) => flight[number].1 = version,
            Self::Pieces(length) => {
                let cut = |(kind, version, body): Record| match kind {
                    HANDSHAKE => body
                        .chunks(length)
                        .map(|piece| (kind, version, piece.to_vec()))
                        .collect(),
                    _ => vec![(kind, version, body)],
                };
                flight = flight.into_iter().flat_map(cut).collect();
            }
        }
        flight
    }
}

/// Shakes hands and says hello.
async fn serve(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    mut odd: Option<Odd>,
) -> std::io::Result<()> {
    let mut tls = ServerConnection::new(config).unwrap();
    let mut buffer = [0; 16_384];
    let mut said = false;
    loop {
        let mut wire = Vec::new();
        if !tls.is_handshaking() && !said {
            said = true;
            std::io::Write::write_all(&mut tls.writer(), b"hello\n")?;
        }
        while tls.wants_write() {
            tls.write_tls(&mut wire)?;
        }
        if !wire.is_empty() {
            if let Some(odd) = odd.take() {
                wire = written(&odd.apply(read(&wire)));
            }
            stream.write_all(&wire).await?;
        }
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        tls.read_tls(&mut &buffer[..bytes])?;
        tls.process_new_packets().map_err(std::io::Error::other)?;
    }
}

async fn start(version: &'static SupportedProtocolVersion, odd: Odd) -> SocketAddr {
    let made = SelfSigned::local();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der()], made.key())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = serve(stream, Arc::new(config), Some(odd)).await;
    });
    address
}

#[tokio::test]
async fn odd_records_are_judged_as_go_does() {
    let before = |kind, body: &[u8]| Odd::Before(0, vec![record(kind, body)]);
    let warnings = |count| Odd::Before(0, vec![record(ALERT, b"\x01\x70"); count]);
    // what is odd, whether the handshake succeeds
    #[rustfmt::skip]
    let rows = [
        ("nothing", Odd::Pieces(16_384), true),
        ("change_cipher_spec first", before(CCS, b"\x01"), false),
        ("change_cipher_spec of another byte", before(CCS, b"\x02"), false),
        ("an empty handshake record", before(HANDSHAKE, b""), false),
        ("an empty handshake record later", Odd::Before(1, vec![record(HANDSHAKE, b"")]), false),
        ("data first", before(DATA, b"hello"), false),
        ("empty data first", before(DATA, b""), false),
        ("a warning", warnings(1), true),
        ("no end of warnings", warnings(40), false),
        ("a fatal alert", before(ALERT, b"\x02\x28"), false),
        ("an alert of another level", before(ALERT, b"\x03\x28"), false),
        ("half an alert", before(ALERT, b"\x01"), false),
        ("an alert and a byte", before(ALERT, b"\x01\x70\x01"), false),
        ("a record of no kind", before(24, b"x"), false),
        ("another record of no kind", before(99, b"x"), false),
        ("version 3.1 first", Odd::Version(0, 0x0301), true),
        ("version 4.0 first", Odd::Version(0, 0x0400), false),
        ("handshake messages in pieces of 3 bytes", Odd::Pieces(3), true),
        ("handshake messages in pieces of 100 bytes", Odd::Pieces(100), true),
        ("more than a record holds", before(HANDSHAKE, &[2; 18_433]), false),
        ("a little more than a record holds", before(HANDSHAKE, &[2; 16_385]), false),
        ("a request to begin again", before(HANDSHAKE, b"\0\0\0\0"), false),
        ("a message of 16 MiB", before(HANDSHAKE, b"\x02\xff\xff\xffxxxx"), false),
        ("a message of no kind", before(HANDSHAKE, b"\x63\0\0\x01x"), false),
    ];
    let module = "{prober: tcp, timeout: 10s, tcp: {preferred_ip_protocol: ip4, tls: true, tls_config: {insecure_skip_verify: true}, query_response: [{expect: hello}]}}";
    let mut wrong = Vec::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (name, odd, want) in &rows {
            let address = start(version, odd.clone()).await;
            let outcome = probe(module, &address.to_string()).await;
            if outcome.success != *want {
                wrong.push(format!(
                    "{:?}, {name}:\n{}",
                    version.version,
                    log(&outcome).join("\n")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
