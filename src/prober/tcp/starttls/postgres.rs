//! PostgreSQL: an SSLRequest, which is eight bytes and no more, and one byte for an answer.

use super::error::StartTlsError;
use super::wire::Wire;

/// Length 8, code 80877103.
const SSL_REQUEST: &[u8] = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";

/// Longest error message that is read.
const LONGEST: u32 = 16 << 10;

/// Asks for TLS.
pub(super) async fn ask(wire: &mut Wire<'_, '_>) -> Result<(), StartTlsError> {
    wire.send(SSL_REQUEST, "the response to the SSLRequest").await?;
    match wire.array().await? {
        [b'S'] => Ok(()),
        [b'E'] => Err(StartTlsError::Refused {
            said: error_message(wire).await?,
        }),
        [b'N'] => Err(StartTlsError::NotOffered { said: vec![b'N'] }),
        [other] => Err(StartTlsError::Refused { said: vec![other] }),
    }
}

/// The text of an error, of version 3 of the protocol, or of what came before, which says it in words that a zero ends.
async fn error_message(wire: &mut Wire<'_, '_>) -> Result<Vec<u8>, StartTlsError> {
    let head: [u8; 4] = wire.array().await?;
    let length = u32::from_be_bytes(head);
    let Some(length) = length.checked_sub(4).filter(|length| *length <= LONGEST) else {
        let mut text = head.to_vec();
        text.extend(wire.through(0).await?);
        text.pop();
        return Ok(text.trim_ascii_end().to_vec());
    };
    let body = wire.bytes(usize::try_from(length).unwrap_or(0)).await?;
    Ok(field(&body, b'M').unwrap_or(&body).to_vec())
}

/// A field of an error: each is a letter and a text that a zero ends.
fn field(body: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut fields = body.split(|byte| *byte == 0);
    fields.find_map(|field| field.strip_prefix(&[wanted]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_fields() {
        let body = b"SFATAL\0C53300\0Msorry, too many clients already\0\0";
        assert_eq!(field(body, b'M'), Some(&b"sorry, too many clients already"[..]));
        assert_eq!(field(b"", b'M'), None);
        assert_eq!(field(b"\0\0\0", b'M'), None);
    }
}
