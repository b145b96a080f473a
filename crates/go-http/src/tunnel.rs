//! Tunnels through proxies: CONNECT (RFC 9110, section 9.3.6) and SOCKS5 (RFC 1928, RFC 1929).

use std::io;
use std::net::IpAddr;

use gostd::os_error::SystemError;
use gostd::url::UserInfo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::headers::Headers;
use crate::http1::{HeadError, HeadParser, LengthError, RequestBody, RequestLine, measure, write_head};

/// Most bytes of a proxy's answer to CONNECT.
const MAX_ANSWER: usize = 64 << 10;

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum TunnelError {
    #[error("talking to the proxy: {}", SystemError(.0))]
    Io(io::Error),
    /// The proxy closed the connection instead of answering.
    #[error("EOF: the proxy closed the connection")]
    Closed,
    #[error("the proxy's answer: {0}")]
    Head(HeadError),
    #[error("the proxy's answer: {0}")]
    Length(LengthError),
    /// An answer to CONNECT that is not 200.
    #[error("{}: the proxy answered {status} to CONNECT", if .reason.is_empty() { "unknown status code" } else { .reason.as_str() })]
    Refused { status: u16, reason: String },
    /// A name or credential longer than SOCKS5 can carry.
    #[error("socks connect: {0} too long")]
    TooLong(&'static str),
    /// Not SOCKS5.
    #[error("socks connect: unexpected protocol version {0}")]
    Version(u8),
    #[error("socks connect: no acceptable authentication methods")]
    NoMethod,
    #[error("socks connect: username/password authentication failed")]
    Credentials,
    /// What SOCKS5 does not foresee, in Go's words.
    #[error("socks connect: {0}")]
    Socks(String),
    /// SOCKS5's refusal.
    #[error("socks connect: {}", .0.words())]
    Reply(Reply),
}

/// Why a SOCKS5 proxy does not make a connection (RFC 1928, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reply {
    Failure,
    NotAllowed,
    NetworkUnreachable,
    HostUnreachable,
    Refused,
    TtlExpired,
    NoSuchCommand,
    NoSuchAddressType,
}

impl Reply {
    /// All of them, from the code 1.
    const ALL: [Self; 8] = [
        Self::Failure,
        Self::NotAllowed,
        Self::NetworkUnreachable,
        Self::HostUnreachable,
        Self::Refused,
        Self::TtlExpired,
        Self::NoSuchCommand,
        Self::NoSuchAddressType,
    ];

    /// Go's words.
    fn words(self) -> &'static str {
        match self {
            Self::Failure => "general SOCKS server failure",
            Self::NotAllowed => "connection not allowed by ruleset",
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::Refused => "connection refused",
            Self::TtlExpired => "TTL expired",
            Self::NoSuchCommand => "command not supported",
            Self::NoSuchAddressType => "address type not supported",
        }
    }
}

impl From<io::Error> for TunnelError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// Asks an HTTP proxy for a tunnel to `target` (`host:port`).
///
/// # Errors
/// Anything but a 200.
pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    target: &str,
    headers: &Headers,
) -> Result<(), TunnelError> {
    let line = RequestLine {
        method: "CONNECT",
        target: target.as_bytes(),
        host: target,
    };
    let mut request = Vec::new();
    write_head(&mut request, line, headers, &RequestBody::Empty, &[]);
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut parser = HeadParser::default();
    let mut answer = Vec::new();
    let mut used = 0;
    let mut buffer = [0; 1024];
    loop {
        let step = parser.advance(&answer).map_err(TunnelError::Head)?;
        answer.drain(..step.used.min(answer.len()));
        used += step.used;
        if used > MAX_ANSWER || step.head.is_none() && used + answer.len() >= MAX_ANSWER {
            return Err(TunnelError::Head(HeadError::TooLarge(MAX_ANSWER)));
        }
        if let Some(mut head) = step.head {
            measure(&mut head, "CONNECT").map_err(TunnelError::Length)?;
            // What came behind the head is dropped, as Go does: a TLS server does not speak first.
            let reason = head.status_line.splitn(2, |b| *b == b' ').nth(1);
            let reason = String::from_utf8_lossy(reason.unwrap_or_default()).into_owned();
            return match head.status {
                200 => Ok(()),
                status => Err(TunnelError::Refused { status, reason }),
            };
        }
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            return Err(TunnelError::Closed);
        }
        answer.extend_from_slice(buffer.get(..bytes).unwrap_or_default());
    }
}

/// Asks a SOCKS5 proxy for a connection to `host`, an address or a name that the proxy looks up.
///
/// # Errors
/// The proxy's refusal, or an answer that is not SOCKS5.
pub async fn socks5<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    host: &str,
    port: u16,
    user: Option<&UserInfo>,
) -> Result<(), TunnelError> {
    let greeting: &[u8] = if user.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(greeting).await?;
    let (version, method) = (stream.read_u8().await?, stream.read_u8().await?);
    if version != 5 {
        return Err(TunnelError::Version(version));
    }
    match (method, user) {
        (0xff, _) => return Err(TunnelError::NoMethod),
        // Without credentials there is nothing to do about any method, as with Go.
        (0, _) | (_, None) => {}
        (2, Some(user)) => authenticate(stream, user).await?,
        (method, Some(_)) => {
            return Err(TunnelError::Socks(format!(
                "unsupported authentication method {method}"
            )));
        }
    }
    let mut request = vec![5, 1, 0];
    match host.split('%').next().unwrap_or_default().parse::<IpAddr>() {
        Ok(ip) => match ip.to_canonical() {
            IpAddr::V4(ip) => {
                request.push(1);
                request.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                request.push(4);
                request.extend(ip.octets());
            }
        },
        Err(_) => {
            request.push(3);
            push_short(&mut request, host.as_bytes(), "FQDN")?;
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await?;
    read_reply(stream).await
}

async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    user: &UserInfo,
) -> Result<(), TunnelError> {
    let password = user.password.as_deref().unwrap_or_default();
    if user.name.is_empty() || user.name.len() > 255 || password.len() > 255 {
        return Err(TunnelError::Socks("invalid username/password".to_owned()));
    }
    let mut request = vec![1];
    push_short(&mut request, &user.name, "user name")?;
    push_short(&mut request, password, "password")?;
    stream.write_all(&request).await?;
    match (stream.read_u8().await?, stream.read_u8().await?) {
        (1, 0) => Ok(()),
        (1, _) => Err(TunnelError::Credentials),
        (version, _) => Err(TunnelError::Socks(format!(
            "invalid username/password version {version}"
        ))),
    }
}

fn push_short(to: &mut Vec<u8>, text: &[u8], what: &'static str) -> Result<(), TunnelError> {
    to.push(u8::try_from(text.len()).map_err(|_| TunnelError::TooLong(what))?);
    to.extend_from_slice(text);
    Ok(())
}

async fn read_reply<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(), TunnelError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, reply, reserved, kind] = head;
    if version != 5 {
        return Err(TunnelError::Version(version));
    }
    if reply != 0 {
        return Err(match Reply::ALL.get(usize::from(reply) - 1) {
            Some(reply) => TunnelError::Reply(*reply),
            None => TunnelError::Socks(format!("unknown code: {reply}")),
        });
    }
    if reserved != 0 {
        return Err(TunnelError::Socks("non-zero reserved field".to_owned()));
    }
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        kind => return Err(TunnelError::Socks(format!("unknown address type {kind}"))),
    };
    let mut bound = vec![0; length + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a dialogue against a scripted proxy: (what it must receive, what it answers) in turn.
    async fn dialogue<T>(
        script: &[(&[u8], &[u8])],
        client: impl AsyncFnOnce(&mut tokio::io::DuplexStream) -> T,
    ) -> T {
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 16);
        let proxy = async {
            for (want, answer) in script {
                let mut got = vec![0; want.len()];
                theirs.read_exact(&mut got).await.unwrap();
                assert_eq!(got, *want);
                theirs.write_all(answer).await.unwrap();
            }
            drop(theirs);
        };
        let (result, ()) = tokio::join!(client(&mut ours), proxy);
        result
    }

    #[tokio::test]
    async fn socks5_names_addresses_and_credentials() {
        const OK: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let script: &[(&[u8], &[u8])] = &[(&[5, 1, 0], &[5, 0]), (&[5, 1, 0, 1, 127, 0, 0, 1, 0, 80], OK)];
        dialogue(script, async |s| socks5(s, "127.0.0.1", 80, None).await)
            .await
            .unwrap();
        let script: &[(&[u8], &[u8])] = &[
            (&[5, 2, 0, 2], &[5, 2]),
            (b"\x01\x01u\x02pw", &[1, 0]),
            (b"\x05\x01\x00\x03\x01a\x01\xbb", OK),
        ];
        let user = UserInfo {
            name: b"u".to_vec(),
            password: Some(b"pw".to_vec()),
        };
        dialogue(script, async |s| socks5(s, "a", 443, Some(&user)).await)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_proxys_answer_has_an_end() {
        let lines = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MAX_ANSWER / 6));
        let line = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(MAX_ANSWER));
        for answer in [lines, line] {
            let (mut ours, mut theirs) = tokio::io::duplex(1 << 20);
            theirs.write_all(answer.as_bytes()).await.unwrap();
            let error = connect(&mut ours, "a:443", &Headers::default())
                .await
                .unwrap_err();
            assert!(error.to_string().contains("exceeded 65536 bytes"), "{error}");
        }
    }

    #[tokio::test]
    async fn refusals_have_gos_words() {
        let script: &[(&[u8], &[u8])] = &[
            (&[5, 1, 0], &[5, 0]),
            (b"\x05\x01\x00\x03\x01a\x00\x50", &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]),
        ];
        let error = dialogue(script, async |s| socks5(s, "a", 80, None).await)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "socks connect: connection refused");
        let script: &[(&[u8], &[u8])] = &[(b"CONNECT a:443 HTTP/1.1\r\n", b"HTTP/1.1 403 Forbidden\r\n\r\n")];
        let error = dialogue(script, async |s| connect(s, "a:443", &Headers::default()).await)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "Forbidden: the proxy answered 403 to CONNECT");
        let script: &[(&[u8], &[u8])] = &[(b"CONNECT ", b"")];
        let error = dialogue(script, async |s| connect(s, "a:443", &Headers::default()).await)
            .await
            .unwrap_err();
        assert!(matches!(error, TunnelError::Closed | TunnelError::Io(_)));
    }
}
