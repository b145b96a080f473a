//! XMPP (RFC 6120, section 5): elements of a stream, which no newline ends. Only as much XML is read as servers may send here.

use super::error::StartTlsError;
use super::wire::Wire;

/// The namespace of a client's stream.
pub(super) const CLIENT: &str = "jabber:client";

/// The namespace of another server's stream.
pub(super) const SERVER: &str = "jabber:server";

const STARTTLS: &[u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// Asks for TLS.
pub(super) async fn ask(wire: &mut Wire<'_, '_>, namespace: &str, name: &str) -> Result<(), StartTlsError> {
    wire.send(header(namespace, name).as_bytes(), "the stream's features")
        .await?;
    features(wire).await?;
    wire.send(STARTTLS, "the response to starttls").await?;
    match tag(wire).await? {
        proceed if local_name(&proceed) == b"proceed" => {
            if !is_complete(&proceed) {
                tag(wire).await?;
            }
            Ok(())
        }
        said => Err(StartTlsError::Refused { said }),
    }
}

/// The beginning of a client's stream and its end.
pub(super) fn stream_and_end(name: &str) -> Vec<u8> {
    let mut words = header(CLIENT, name);
    words.push_str("</stream:stream>");
    words.into_bytes()
}

fn header(namespace: &str, name: &str) -> String {
    let mut to = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '\'' => to.push_str("&apos;"),
            c => to.push(c),
        }
    }
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='{namespace}' xmlns:stream='http://etherx.jabber.org/streams' to='{to}' version='1.0'>"
    )
}

/// Reads the features to their end.
async fn features(wire: &mut Wire<'_, '_>) -> Result<(), StartTlsError> {
    let mut is_offered = false;
    let mut are_begun = false;
    loop {
        let tag = tag(wire).await?;
        match local_name(&tag) {
            b"features" if is_complete(&tag) => return Err(StartTlsError::NotOffered { said: tag }),
            b"features" => are_begun = true,
            b"/features" if are_begun && is_offered => return Ok(()),
            b"/features" => return Err(StartTlsError::NotOffered { said: tag }),
            b"starttls" => is_offered = true,
            b"error" => return Err(stream_error(wire, tag).await),
            b"/stream" => return Err(StartTlsError::Refused { said: tag }),
            b"?xml" | b"stream" => {}
            _ if are_begun => {}
            _ => return Err(StartTlsError::Refused { said: tag }),
        }
    }
}

/// An error of the stream with what it says.
async fn stream_error(wire: &mut Wire<'_, '_>, mut said: Vec<u8>) -> StartTlsError {
    while local_name(&said) == b"error" {
        let Ok(tag) = next(wire, &mut said).await else {
            break;
        };
        if local_name(&tag) == b"/error" {
            break;
        }
    }
    StartTlsError::Refused { said }
}

/// The next tag; text before it is skipped.
async fn tag(wire: &mut Wire<'_, '_>) -> Result<Vec<u8>, StartTlsError> {
    next(wire, &mut Vec::new()).await
}

/// The next tag; it is appended to `all` with the text before it.
async fn next(wire: &mut Wire<'_, '_>, all: &mut Vec<u8>) -> Result<Vec<u8>, StartTlsError> {
    let mut text = wire.through(b'<').await?;
    let blank = text.pop();
    debug_assert_eq!(blank, Some(b'<'));
    all.extend(text);
    let (mut tag, mut quote) = (vec![b'<'], None);
    loop {
        let piece = wire.through(b'>').await?;
        tag.extend_from_slice(&piece);
        quote = quote_after(quote, &piece);
        // A value may have the sign in it.
        if quote.is_none() {
            all.extend_from_slice(&tag);
            return Ok(tag);
        }
    }
}

/// The quote of the value of an attribute that is open after another piece of a tag. No piece is looked at twice: very many can
/// have the sign and nothing else.
fn quote_after(open: Option<u8>, piece: &[u8]) -> Option<u8> {
    piece.iter().fold(open, |open, byte| match (open, byte) {
        (None, b'\'' | b'"') => Some(*byte),
        (Some(quote), byte) if quote == *byte => None,
        _ => open,
    })
}

/// Whether an element is its tag and nothing else.
fn is_complete(tag: &[u8]) -> bool {
    tag.ends_with(b"/>")
}

/// The name of a tag without the prefix of its namespace; with the slash of an end.
fn local_name(tag: &[u8]) -> &[u8] {
    let inner = tag.strip_prefix(b"<").unwrap_or(tag);
    let end = inner
        .iter()
        .enumerate()
        .position(|(at, byte)| byte.is_ascii_whitespace() || *byte == b'>' || (at > 0 && *byte == b'/'));
    let name = inner.get(..end.unwrap_or(inner.len())).unwrap_or_default();
    let Some(colon) = name.iter().position(|byte| *byte == b':') else {
        return name;
    };
    match name.first() {
        // `</stream:error>`: the slash and what follows the colon are not side by side.
        Some(b'/') => match name.get(colon + 1..) {
            Some(b"stream") => b"/stream",
            Some(b"features") => b"/features",
            Some(b"error") => b"/error",
            _ => name,
        },
        _ => name.get(colon + 1..).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_names() {
        let rows = [
            ("<?xml version='1.0'?>", "?xml"),
            ("<stream:stream to='a:b'>", "stream"),
            ("<stream:features>", "features"),
            ("<features/>", "features"),
            ("</stream:features>", "/features"),
            ("</features>", "/features"),
            ("<starttls xmlns='urn:x'/>", "starttls"),
            ("<proceed/>", "proceed"),
            ("<proceed\txmlns='x'>", "proceed"),
            ("</stream:stream>", "/stream"),
            ("<>", ""),
            ("</>", "/"),
            ("</a:>", "/a:"),
            ("<:>", ""),
        ];
        for (tag, want) in rows {
            assert_eq!(local_name(tag.as_bytes()), want.as_bytes(), "{tag}");
        }
    }

    #[test]
    fn values_may_have_brackets() {
        assert_eq!(quote_after(None, b"a b='>"), Some(b'\''));
        assert_eq!(quote_after(None, b"a b='\">"), Some(b'\''));
        assert_eq!(quote_after(None, b"a b='\"'>"), None);
        assert_eq!(quote_after(Some(b'\''), b"\">"), Some(b'\''));
        assert_eq!(quote_after(Some(b'\''), b"' c=\">"), Some(b'"'));
    }

    #[test]
    fn names_are_escaped() {
        let header = header(CLIENT, "a'><b&");
        assert!(header.contains("to='a&apos;>&lt;b&amp;'"), "{header}");
    }
}
