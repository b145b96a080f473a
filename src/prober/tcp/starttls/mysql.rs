//! MySQL and MariaDB: the server begins with what it can do; a client that wants TLS sends the head of its login and goes on in TLS.

//!
//! Who closes after the handshake has interrupted a login for the server, which blocks a host that does so a hundred times in a row
//! (`max_connect_errors`). A login that is refused is none of these, so one is made, without a password.

use super::error::StartTlsError;
use super::wire::Wire;

const CLIENT_PROTOCOL_41: u32 = 1 << 9;
const CLIENT_SSL: u32 = 1 << 11;
const CLIENT_SECURE_CONNECTION: u32 = 1 << 15;
const CLIENT_PLUGIN_AUTH: u32 = 1 << 19;

/// The user of the login.
const USER: &[u8] = b"prober";

/// The end of a session.
pub(super) const QUIT: &[u8] = b"\x01\0\0\0\x01";

/// The beginning of what asks for another way to log in.
const SWITCH: u8 = 0xfe;

/// What a server begins with: the packet of an error instead of a version.
const ERROR: u8 = 0xff;

/// The version of the protocol since MySQL 3.21.
const VERSION: u8 = 10;

/// Asks for TLS.
pub(super) async fn ask(wire: &mut Wire<'_, '_>) -> Result<(), StartTlsError> {
    wire.awaited = "the greeting";
    let (number, payload) = read(wire).await?;
    if number != 0 {
        return Err(StartTlsError::Malformed(
            format!("the first packet has the number {number}").into(),
        ));
    }
    if let Some((&ERROR, rest)) = payload.split_first() {
        return Err(StartTlsError::Refused {
            said: error_text(rest),
        });
    }
    match capabilities(&payload) {
        None => Err(StartTlsError::Malformed(
            "it is no greeting of version 10 of the protocol".into(),
        )),
        Some(capabilities) if capabilities & CLIENT_SSL == 0 => Err(StartTlsError::NotOffered {
            said: format!("capabilities 0x{capabilities:08x}, without CLIENT_SSL").into_bytes(),
        }),
        Some(_) => wire.send(&packet(1, &login_head(CLIENT_SSL)), wire.awaited).await,
    }
}

/// Logs in without a password, whatever comes of it.
pub(super) async fn log_in(wire: &mut Wire<'_, '_>, is_encrypted: bool) -> Result<(), StartTlsError> {
    let mut login = login_head(if is_encrypted { CLIENT_SSL } else { 0 }).to_vec();
    login.extend_from_slice(USER);
    // The end of the name, and no bytes of a password.
    login.extend_from_slice(b"\0\0mysql_native_password\0");
    let number = if is_encrypted { 2 } else { 1 };
    wire.send(&packet(number, &login), "the login").await?;
    let (number, payload) = read(wire).await?;
    if payload.first() == Some(&SWITCH) {
        wire.send(&packet(number.wrapping_add(1), b""), "the login")
            .await?;
        read(wire).await?;
    }
    Ok(())
}

/// The number of the next packet, and what is in it.
async fn read(wire: &mut Wire<'_, '_>) -> Result<(u8, Vec<u8>), StartTlsError> {
    let [low, middle, high, number] = wire.array().await?;
    let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
    Ok((number, wire.bytes(length).await?))
}

/// A packet of up to 255 bytes.
fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![u8::try_from(payload.len()).unwrap_or(u8::MAX), 0, 0, number];
    packet.extend_from_slice(payload);
    packet
}

/// The head of a login, which ends where the name of the user begins.
fn login_head(more_capabilities: u32) -> [u8; 32] {
    let mut head = [0; 32];
    let capabilities = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH | more_capabilities;
    // Packets of up to 16 MiB, and the character set utf8.
    let fields = capabilities.to_le_bytes().into_iter().chain([0, 0, 0, 1, 33]);
    for (to, from) in head.iter_mut().zip(fields) {
        *to = from;
    }
    head
}

/// What the server of a greeting can do.
fn capabilities(payload: &[u8]) -> Option<u32> {
    let (&version, rest) = payload.split_first()?;
    if version != VERSION {
        return None;
    }
    // The server's version, the thread, eight bytes of a challenge and a filler.
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (&low, rest) = rest.get(end + 1 + 4 + 8 + 1..)?.split_first_chunk::<2>()?;
    // Character set and status. Old servers end before.
    let high = rest.get(3..5).and_then(|high| high.first_chunk::<2>());
    let high = high.map_or(0, |high| u16::from_le_bytes(*high));
    Some(u32::from(high) << 16 | u32::from(u16::from_le_bytes(low)))
}

/// The text of an error: a code, and the state of SQL from version 4.1 on.
fn error_text(rest: &[u8]) -> Vec<u8> {
    let Some((&code, text)) = rest.split_first_chunk::<2>() else {
        return rest.to_vec();
    };
    let code = u16::from_le_bytes(code);
    let text = match text.split_first() {
        Some((b'#', behind)) => behind.get(5..).unwrap_or(behind),
        _ => text,
    };
    let mut said = format!("error {code}: ").into_bytes();
    said.extend_from_slice(text);
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREETING: &[u8] = b"\x0a5.5.5-10.11\0\x01\0\0\0abcdefgh\0\xfe\xff\x2d\x02\0\xff\x81\x15";

    #[test]
    fn greetings_are_read() {
        assert_eq!(capabilities(GREETING), Some(0x81ff_fffe));
        // A server from before 4.1 says less.
        let end = GREETING.len() - 6;
        assert_eq!(capabilities(&GREETING[..end]), Some(0xfffe));
        assert_eq!(capabilities(b"\x09old"), None);
    }

    #[test]
    fn whatever_is_cut_off_or_damaged_is_refused_or_read() {
        for end in 0..GREETING.len() - 6 {
            assert_eq!(capabilities(&GREETING[..end]), None, "{end}");
        }
        for at in 0..GREETING.len() {
            for byte in 0..=u8::MAX {
                let mut damaged = GREETING.to_vec();
                damaged[at] = byte;
                let _ = capabilities(&damaged);
                let _ = error_text(&damaged[at..]);
            }
        }
    }

    #[test]
    fn errors_have_texts() {
        let blocked = b"\x69\x04Host 'h' is blocked";
        assert_eq!(error_text(blocked), b"error 1129: Host 'h' is blocked");
        let many = b"\x10\x04#08004Too many connections";
        assert_eq!(error_text(many), b"error 1040: Too many connections");
        assert_eq!(error_text(b"\x10"), b"\x10");
        assert_eq!(error_text(b"\x10\x04#0"), b"error 1040: 0");
    }

    #[test]
    fn the_request_is_a_packet_of_32_bytes() {
        let request = packet(1, &login_head(CLIENT_SSL));
        assert_eq!(request[..4], [32, 0, 0, 1]);
        assert_eq!(request[4..8], [0x00, 0x8a, 0x08, 0x00]);
        assert_eq!(request[8..13], [0, 0, 0, 1, 33]);
        assert!(request[13..].iter().all(|byte| *byte == 0));
        assert_eq!(request.len(), 36);
    }
}
