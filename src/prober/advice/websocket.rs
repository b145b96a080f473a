//! WebSocket connections that were not upgraded.

use super::quoted;
use crate::check::Regexp;
use crate::prober::websocket::error::WebsocketError;

/// The response does not upgrade.
fn refused(status: u16, status_line: &[u8]) -> String {
    match status {
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
pub(in crate::prober) fn no_connection(error: &WebsocketError) -> Option<String> {
    Some(match error {
        WebsocketError::Refused { code, status, .. } => refused(*code, status),
        WebsocketError::Accept(_) => "The server upgrades without the Sec-WebSocket-Accept that belongs to the key: its WebSocket library is incomplete, or it is something else. If it works for your clients all the same, set insecure_skip_accept: true.".to_owned(),
        WebsocketError::Answer(error) => return super::http::head(error),
        WebsocketError::Read(error) => {
            return super::tls::after(error).or_else(|| Some(closed()));
        }
        WebsocketError::End => closed(),
        WebsocketError::Header(name) => format!("The handshake sets {name} itself: remove it from headers."),
        WebsocketError::Extension => "The server compresses although this client did not offer it: switch permessage-deflate off there.".to_owned(),
        _ => return None,
    })
}

fn closed() -> String {
    "The peer closed the connection instead of responding to the upgrade: the port expects TLS (wss://), or is no web server.".to_owned()
}

/// No message came.
pub(in crate::prober) fn no_message(regexp: &Regexp) -> String {
    format!(
        "No message arrived while waiting for {}: the service waits for the client to speak first (add a send step before), or closed the connection.",
        quoted(regexp.source().as_bytes())
    )
}
