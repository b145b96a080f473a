//! A request as HTTP/2 and HTTP/3 send it: pseudo-header fields, then the others in lower case.

use crate::headers::Headers;
use crate::http1::RequestBody;

/// A request: pseudo-header fields apart, names of `headers` in any case.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method, as configured.
    pub method: &'a str,
    /// `https`.
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// Path and query.
    pub path: &'a [u8],
    /// The other fields; those that HTTP/2 has no use for are left out.
    pub headers: &'a Headers,
}

/// Fields that belong to a connection of HTTP/1, or are written from other sources.
fn is_written_apart(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "content-length"
            | "connection"
            | "proxy-connection"
            | "transfer-encoding"
            | "upgrade"
            | "keep-alive"
    )
}

impl Request<'_> {
    /// Hands each field to `put`, in the order in which they are sent.
    ///
    /// # Errors
    /// A path that cannot be sent.
    pub(crate) fn put_fields(
        &self,
        body: &RequestBody,
        mut put: impl FnMut(&str, &[u8]),
    ) -> Result<(), String> {
        // RFC 9113, section 8.5: CONNECT has neither a path nor a scheme.
        let connects = self.method == "CONNECT";
        if !connects && !self.path.starts_with(b"/") && self.path != b"*" {
            let shown = String::from_utf8_lossy(self.path);
            return Err(format!("invalid request :path {shown:?}"));
        }
        put(":authority", self.authority.as_bytes());
        put(":method", self.method.as_bytes());
        if !connects {
            put(":path", self.path);
            put(":scheme", self.scheme.as_bytes());
        }
        let mut has_agent = false;
        for (name, value) in self.headers.sorted() {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            match name.as_str() {
                _ if is_written_apart(&name) => {}
                "user-agent" => {
                    if !has_agent && !value.is_empty() {
                        put(&name, value);
                    }
                    has_agent = true;
                }
                _ => put(&name, value),
            }
        }
        match body {
            RequestBody::Bytes(bytes) => put("content-length", bytes.len().to_string().as_bytes()),
            RequestBody::Empty if matches!(self.method, "POST" | "PUT" | "PATCH") => {
                put("content-length", b"0");
            }
            _ => {}
        }
        Ok(())
    }
}
