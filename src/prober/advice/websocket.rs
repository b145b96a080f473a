//! WebSocket connections that were not upgraded.

use go_http::websocket::FrameError;

use super::quoted;
use crate::check::Regexp;
use crate::prober::websocket::error::WebsocketError;

/// The response does not upgrade.
fn refused(status: u16, status_line: &[u8], body: &[u8]) -> String {
    match status {
        400 if super::http::speaks_tls(body) => "The port expects TLS and got plain HTTP: write wss:// in the target.".to_owned(),
        101 => "The server switches protocols without the headers that WebSocket asks for: a proxy between removes Upgrade or Connection.".to_owned(),
        200..=299 => "A web page is there instead of WebSocket: the path is another one, or a proxy between removes the header Upgrade.".to_owned(),
        301..=308 => format!("The server redirects ({}), which WebSocket does not follow: write the URL that it leads to, often wss:// instead of ws://.", quoted(status_line)),
        401 | 403 => format!("The server requires credentials or another Origin ({status}): set headers in the module, or basic_auth, authorization or oauth2 in its http_config."),
        404 => "There is no WebSocket at this path (404): check the path.".to_owned(),
        400 | 426 => format!("The server does not recognize the upgrade ({status}): a proxy between removes the header Upgrade, or a subprotocol is missing (Sec-WebSocket-Protocol)."),
        502..=504 => format!("This response comes from a proxy, not from the service ({status}): its backend is down, or it is not set up for WebSocket."),
        _ => format!("The server responded {} instead of switching to WebSocket.", quoted(status_line)),
    }
}

/// No WebSocket connection.
pub(in crate::prober) fn no_connection(error: &WebsocketError, scheme: &str) -> Option<String> {
    Some(match error {
        WebsocketError::Refused { code, status, body, .. } => refused(*code, status, body),
        WebsocketError::Accept(_) => "The server upgrades without the Sec-WebSocket-Accept that belongs to the key: its WebSocket library is incomplete, or it is something else. If it works for your clients all the same, set insecure_skip_accept: true.".to_owned(),
        WebsocketError::Answer(error) => return super::http::head(error),
        WebsocketError::Read(error) => {
            return super::tls::after(error).or_else(|| Some(closed(scheme)));
        }
        WebsocketError::End(sent) if sent.is_empty() => closed(scheme),
        WebsocketError::End(sent) => super::http::protocol(sent),
        WebsocketError::Header(name) => format!("The handshake sets {name} itself: remove it from headers."),
        WebsocketError::Extension => "The server compresses although this client did not offer it: switch permessage-deflate off there.".to_owned(),
        _ => return None,
    })
}

fn closed(scheme: &str) -> String {
    let expects_tls = if scheme == "ws" {
        "the port expects TLS (wss://), or is"
    } else {
        "it is"
    };
    format!(
        "The peer closed the connection instead of responding to the upgrade: {expects_tls} no web server."
    )
}

/// No message came. `sent` says that a step before has sent something.
pub(in crate::prober) fn no_message(error: &FrameError, regexp: &Regexp, sent: bool) -> Option<String> {
    let expected = quoted(regexp.source().as_bytes());
    Some(match error {
        FrameError::Io(error) if let Some(line) = super::tls::after(error) => line,
        FrameError::Closed { code: 1006, .. } | FrameError::Io(_) => format!(
            "Expected {expected}; the connection ended without a close frame: the service, or a proxy before it, crashed or gave up."
        ),
        FrameError::Closed { code, text } => format!(
            "Expected {expected}; the server closed the WebSocket itself with the code {code} and the reason {}: it does not accept the client, or what it sent, or is shutting down.",
            quoted(text.as_bytes())
        ),
        FrameError::TimedOut(_) if sent => format!(
            "No message arrived while waiting for {expected}: the service does not respond to what was sent before, or hangs."
        ),
        FrameError::TimedOut(_) => format!(
            "No message arrived while waiting for {expected}: the service waits for the client to speak first (add a send step before), or hangs."
        ),
        FrameError::Protocol(_) | FrameError::TooLong => return None,
    })
}
