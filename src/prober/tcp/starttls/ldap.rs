//! LDAP (RFC 4511, section 4.14): an extended operation, in BER.

use super::error::StartTlsError;
use super::wire::{MOST, Wire};

/// Message 1: an extended request for 1.3.6.1.4.1.1466.20037.
const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Message 2: the end of the session.
pub(super) const UNBIND: &[u8] = b"\x30\x05\x02\x01\x02\x42\x00";

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
const OCTETS: u8 = 0x04;
const EXTENDED_RESPONSE: u8 = 0x78;

/// Asks for TLS.
pub(super) async fn ask(wire: &mut Wire<'_, '_>) -> Result<(), StartTlsError> {
    wire.send(REQUEST, "the response to StartTLS").await?;
    let [tag, first] = wire.array().await?;
    if tag != SEQUENCE {
        return Err(StartTlsError::Malformed(
            format!("an LDAP message begins with 0x30, not 0x{tag:02x}").into(),
        ));
    }
    let mut length = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return Err(StartTlsError::Malformed(
                format!("a length of {count} bytes").into(),
            ));
        }
        let bytes = wire.bytes(count).await?;
        length = bytes
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
    }
    if length > MOST {
        return Err(StartTlsError::TooMuch { most: MOST });
    }
    let body = wire.bytes(length).await?;
    match result(&body) {
        None => Err(StartTlsError::Malformed("it is no extended response".into())),
        Some((0, _)) => Ok(()),
        Some((code, text)) => {
            let mut said = format!("result code {code}{}", meaning(code)).into_bytes();
            if !text.is_empty() {
                said.extend_from_slice(b": ");
                said.extend_from_slice(text);
            }
            Err(StartTlsError::Refused { said })
        }
    }
}

/// The result code and the diagnostic message of the response, which may also be a notice that the server disconnects.
fn result(body: &[u8]) -> Option<(u8, &[u8])> {
    let (_id, rest) = element(body, INTEGER)?;
    let (response, _) = element(rest, EXTENDED_RESPONSE)?;
    let (code, rest) = element(response, ENUMERATED)?;
    let (_matched, rest) = element(rest, OCTETS)?;
    let (text, _) = element(rest, OCTETS)?;
    let [code] = code else { return None };
    Some((*code, text))
}

/// The content of the element of that tag at the beginning, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], mut rest) = bytes.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let mut length = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let (digits, behind) = rest.split_at_checked(count)?;
        length = digits
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = behind;
    }
    rest.split_at_checked(length)
}

fn meaning(code: u8) -> &'static str {
    match code {
        1 => " (operationsError)",
        2 => " (protocolError)",
        8 => " (strongerAuthRequired)",
        10 => " (referral)",
        12 => " (unavailableCriticalExtension)",
        51 => " (busy)",
        52 => " (unavailable)",
        53 => " (unwillingToPerform)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: &[u8] = b"\x02\x01\x01\x78\x12\x0a\x01\x02\x04\x00\x04\x0bunsupported";

    #[test]
    fn responses_are_read() {
        assert_eq!(
            result(b"\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
            Some((0, &b""[..]))
        );
        assert_eq!(result(DENIED), Some((2, &b"unsupported"[..])));
        // Lengths in their long form.
        let long = b"\x02\x01\x01\x78\x83\x00\x00\x07\x0a\x01\x00\x04\x81\x00\x04\x00";
        assert_eq!(result(long), None, "the element is longer than it says");
        let long = b"\x02\x01\x01\x78\x83\x00\x00\x08\x0a\x01\x00\x04\x81\x00\x04\x00";
        assert_eq!(result(long), Some((0, &b""[..])));
    }

    #[test]
    fn whatever_is_cut_off_or_damaged_is_refused_or_read() {
        for end in 0..DENIED.len() {
            assert_eq!(result(&DENIED[..end]), None, "{end}");
        }
        for at in 0..DENIED.len() {
            for byte in 0..=u8::MAX {
                let mut damaged = DENIED.to_vec();
                damaged[at] = byte;
                let _ = result(&damaged);
            }
        }
        assert_eq!(element(b"\x02\x84\xff\xff\xff\xff", INTEGER), None);
        assert_eq!(element(b"\x02\x80", INTEGER), None);
        assert_eq!(element(b"\x02\xff", INTEGER), None);
    }
}
