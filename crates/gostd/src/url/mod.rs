//! URLs as Go's `net/url` reads and prints them, because what goes on the wire must be what upstream sends.
//!
//! The `url` crate follows WHATWG (it rewrites dot segments, backslashes and default ports) and `http::Uri` refuses
//! characters that Go accepts; both would change or refuse targets that work today.

mod escape;
mod host;

use std::borrow::Cow;
use std::fmt;

use escape::{Mode, escape, escape_text, unescape, valid_encoded};

use crate::carried;
use crate::strconv::quote;

pub use escape::query_escape;
pub use host::{
    PunycodeError, idna_ascii, idna_host_port, punycode, punycode_host_port, remove_zone, valid_host_header,
};

/// A parsed URL or URL reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// Lower-case scheme without the colon; empty for a reference.
    pub scheme: String,
    /// What follows the scheme when that does not begin with a slash (`mailto:ann@example.com`).
    pub opaque: Vec<u8>,
    /// Credentials in front of the host.
    pub user: Option<UserInfo>,
    /// Host and port as written, IPv6 addresses in brackets, percent-decoded, what is not UTF-8 [carried].
    pub host: String,
    /// The path in its escaped form, as it is sent.
    pub path: String,
    /// The query without its question mark, as written.
    pub query: Vec<u8>,
    /// Whether there is a question mark with nothing behind it.
    pub force_query: bool,
    /// The fragment in its escaped form, without the `#`.
    pub fragment: String,
    omit_host: bool,
}

/// Credentials of a URL, decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// User name.
    pub name: Vec<u8>,
    /// Password; `None` when there is no colon.
    pub password: Option<Vec<u8>>,
}

impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<credentials>")
    }
}

impl fmt::Display for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.name, Mode::UserPassword))?;
        match &self.password {
            Some(password) => write!(f, ":{}", escape(password, Mode::UserPassword)),
            None => Ok(()),
        }
    }
}

/// Why a text is no URL; the reasons are Go's. Displays without the URL itself, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// A reason without a detail.
    #[error("{0}")]
    Plain(&'static str),
    /// `%` that is not followed by two hex digits, or an escape that is not allowed there.
    #[error("invalid URL escape {}", quote(.0))]
    Escape(String),
    /// A character that no host name has.
    #[error("invalid character \"{0}\" in host name")]
    HostCharacter(char),
    /// What follows the host is no port.
    #[error("invalid port {} after host", quote(.0))]
    Port(String),
    /// What stands in brackets is no IPv6 address.
    #[error("invalid host: ParseAddr({}): unable to parse IP", quote(.0))]
    Host(String),
}

impl Url {
    /// Parses a URL or a reference.
    ///
    /// # Errors
    /// Control characters, a bad escape in host, path, user or fragment, a port that is no number, …
    pub fn parse(text: &(impl AsRef<[u8]> + ?Sized)) -> Result<Self, UrlError> {
        let text = text.as_ref();
        let (before, fragment) = cut(text, b'#');
        let mut url = Self::parse_without_fragment(before)?;
        if let Some(fragment) = fragment.filter(|f| !f.is_empty()) {
            url.fragment = normalise(fragment, Mode::Fragment)?;
        }
        Ok(url)
    }

    fn parse_without_fragment(text: &[u8]) -> Result<Self, UrlError> {
        if text.iter().any(|b| *b < b' ' || *b == 0x7f) {
            return Err(UrlError::Plain("net/url: invalid control character in URL"));
        }
        let mut url = Self::default();
        if text == b"*" {
            url.path = "*".to_owned();
            return Ok(url);
        }
        let (scheme, rest) = split_scheme(text)?;
        url.scheme = scheme;
        let (rest, query) = cut(rest, b'?');
        if let Some(query) = query {
            url.force_query = query.is_empty();
            url.query = query.to_vec();
        }
        if !rest.starts_with(b"/") {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Ok(url);
            }
            if cut(rest, b'/').0.contains(&b':') {
                return Err(UrlError::Plain("first path segment in URL cannot contain colon"));
            }
        }
        let has_authority = rest.starts_with(b"//") && (!url.scheme.is_empty() || !rest.starts_with(b"///"));
        let path = if let Some(authority) = rest.strip_prefix(b"//").filter(|_| has_authority) {
            let end = authority
                .iter()
                .position(|b| *b == b'/')
                .unwrap_or(authority.len());
            let (authority, path) = authority.split_at(end);
            url.parse_authority(authority)?;
            path
        } else {
            url.omit_host = !url.scheme.is_empty() && rest.starts_with(b"/");
            rest
        };
        url.path = normalise(path, Mode::Path)?;
        Ok(url)
    }

    fn parse_authority(&mut self, authority: &[u8]) -> Result<(), UrlError> {
        let Some(at) = authority.iter().rposition(|b| *b == b'@') else {
            self.host = host::parse(authority)?;
            return Ok(());
        };
        let (user, after) = authority.split_at(at);
        self.host = host::parse(after.get(1..).unwrap_or_default())?;
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b);
        if !user.iter().all(allowed) {
            return Err(UrlError::Plain("net/url: invalid userinfo"));
        }
        let (name, password) = cut(user, b':');
        self.user = Some(UserInfo {
            name: unescape(name, Mode::UserPassword)?.into_owned(),
            password: password
                .map(|p| Ok(unescape(p, Mode::UserPassword)?.into_owned()))
                .transpose()?,
        });
        Ok(())
    }

    /// The host without port and brackets.
    pub fn hostname(&self) -> &str {
        hostname(&self.host)
    }

    /// The port as written; empty when there is none.
    pub fn port(&self) -> &str {
        split_port(&self.host).1
    }

    /// The port as written, or the usual one of the scheme (`80`, `443`, `1080`; empty when unknown).
    pub fn port_or_default(&self) -> &str {
        match (self.port(), self.scheme.as_str()) {
            ("", "http") => "80",
            ("", "https") => "443",
            ("", "socks5" | "socks5h") => "1080",
            (port, _) => port,
        }
    }

    /// The path percent-decoded.
    pub fn decoded_path(&self) -> Cow<'_, [u8]> {
        unescape(self.path.as_bytes(), Mode::Path).unwrap_or(Cow::Borrowed(self.path.as_bytes()))
    }

    /// What stands in a request line: path and query.
    pub fn request_uri(&self) -> Cow<'_, [u8]> {
        let mut uri: Cow<'_, [u8]> = if !self.opaque.is_empty() {
            if self.opaque.starts_with(b"//") {
                [self.scheme.as_bytes(), b":", &self.opaque].concat().into()
            } else {
                (&self.opaque).into()
            }
        } else if self.path.is_empty() {
            b"/".into()
        } else {
            self.path.as_bytes().into()
        };
        if self.has_query() {
            self.append_query(uri.to_mut());
        }
        uri
    }

    fn has_query(&self) -> bool {
        self.force_query || !self.query.is_empty()
    }

    fn append_query(&self, to: &mut Vec<u8>) {
        if self.has_query() {
            to.push(b'?');
            to.extend_from_slice(&self.query);
        }
    }

    /// Resolves `reference` against this URL (RFC 3986, section 5.2).
    #[must_use]
    pub fn resolve(&self, reference: &Url) -> Url {
        let mut url = reference.clone();
        if reference.scheme.is_empty() {
            url.scheme.clone_from(&self.scheme);
        }
        if !reference.scheme.is_empty() || !reference.host.is_empty() || reference.user.is_some() {
            url.path = resolve_path(&reference.path, "");
            return url;
        }
        if !reference.opaque.is_empty() {
            url.path.clear();
            return url;
        }
        if reference.path.is_empty() && !reference.force_query && reference.query.is_empty() {
            url.query.clone_from(&self.query);
            if reference.fragment.is_empty() {
                url.fragment.clone_from(&self.fragment);
            }
        }
        if reference.path.is_empty() && !self.opaque.is_empty() {
            url.opaque.clone_from(&self.opaque);
            return url;
        }
        url.host.clone_from(&self.host);
        url.user.clone_from(&self.user);
        url.path = resolve_path(&self.path, &reference.path);
        url
    }

    /// The text of the URL in bytes: a query is printed as it was written, whatever its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.print(self.user.as_ref().map(ToString::to_string))
    }

    /// The text of the URL with `user` in place of its own credentials.
    fn print(&self, user: Option<String>) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + self.host.len() + self.path.len() + self.query.len());
        if !self.scheme.is_empty() {
            out.extend_from_slice(self.scheme.as_bytes());
            out.push(b':');
        }
        if self.opaque.is_empty() {
            let bare = self.host.is_empty() && user.is_none();
            if !(bare && (self.scheme.is_empty() || self.omit_host)) {
                if !bare || !self.path.is_empty() {
                    out.extend_from_slice(b"//");
                }
                if let Some(user) = user {
                    out.extend_from_slice(user.as_bytes());
                    out.push(b'@');
                }
                out.extend_from_slice(escape_text(&self.host, Mode::Host).as_bytes());
            }
            if !self.path.is_empty() && !self.path.starts_with('/') && !self.host.is_empty() {
                out.push(b'/');
            }
            if out.is_empty() && cut(self.path.as_bytes(), b'/').0.contains(&b':') {
                out.extend_from_slice(b"./");
            }
            out.extend_from_slice(self.path.as_bytes());
        } else {
            out.extend_from_slice(&self.opaque);
        }
        self.append_query(&mut out);
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend_from_slice(self.fragment.as_bytes());
        }
        out
    }

    /// The text of the URL without credentials, as a `Referer` has it.
    pub fn without_user(&self) -> Vec<u8> {
        self.print(None)
    }

    /// The text with the password as `xxxxx`: safe for logs and pages. Use [`Url::to_bytes`] for the wire.
    pub fn safe_text(&self) -> String {
        self.redacted("xxxxx")
    }

    /// The text of the URL for logs, what is not UTF-8 [carried]: `password` (`***`, `xxxxx`) stands in the place of the real one.
    pub fn redacted(&self, password: &str) -> String {
        let user = self.user.as_ref().map(|user| {
            let mut text = escape(&user.name, Mode::UserPassword).into_owned();
            if user.password.is_some() {
                text.push(':');
                text.push_str(password);
            }
            text
        });
        carried::owned(self.print(user))
    }
}

/// The host of a URL without port and brackets.
pub fn hostname(host: &str) -> &str {
    let host = split_port(host).0;
    host.strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host)
}

fn split_port(host: &str) -> (&str, &str) {
    let colon = host.bytes().rposition(|b| b == b':').unwrap_or(host.len());
    match (host.get(..colon), host.get(colon + 1..)) {
        (Some(before), Some(port)) if port.bytes().all(|b| b.is_ascii_digit()) => (before, port),
        _ => (host, ""),
    }
}

/// A decoded path as a URL prints it.
pub fn escape_path(path: &str) -> Cow<'_, str> {
    escape_text(path, Mode::Path)
}

/// [`Url::safe_text`].
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.safe_text())
    }
}

/// Splits at the first `at`.
fn cut(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|b| *b == at) {
        Some(i) => (text.get(..i).unwrap_or_default(), text.get(i + 1..)),
        None => (text, None),
    }
}

fn split_scheme(text: &[u8]) -> Result<(String, &[u8]), UrlError> {
    let end = text
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')));
    let Some(end) = end.filter(|end| text.get(*end) == Some(&b':')) else {
        return Ok((String::new(), text));
    };
    match text.first() {
        Some(b':') => Err(UrlError::Plain("missing protocol scheme")),
        Some(first) if first.is_ascii_alphabetic() => {
            let (scheme, rest) = text.split_at(end);
            let scheme = String::from_utf8_lossy(scheme).to_ascii_lowercase();
            Ok((scheme, rest.get(1..).unwrap_or_default()))
        }
        _ => Ok((String::new(), text)),
    }
}

/// The escaped form of a path or fragment: as written if that is a valid escaping, else all of it is escaped.
fn normalise(text: &[u8], mode: Mode) -> Result<String, UrlError> {
    let decoded = unescape(text, mode)?;
    match std::str::from_utf8(text) {
        Ok(text) if valid_encoded(text.as_bytes(), mode) => Ok(text.to_owned()),
        _ => Ok(escape(&decoded, mode).into_owned()),
    }
}

/// RFC 3986, section 5.2.4, on escaped paths.
fn resolve_path(base: &str, reference: &str) -> String {
    let full = if reference.is_empty() {
        base.to_owned()
    } else if reference.starts_with('/') {
        reference.to_owned()
    } else {
        let folder = base.rfind('/').and_then(|i| base.get(..=i)).unwrap_or_default();
        format!("{folder}{reference}")
    };
    if full.is_empty() {
        return full;
    }
    let mut out = String::from("/");
    let mut first = true;
    let mut last = "";
    for element in full.split('/') {
        last = element;
        match element {
            "." => first = false,
            ".." => {
                let end = out.get(1..).and_then(|o| o.rfind('/')).map_or(1, |i| i + 1);
                out.truncate(end);
                first = out.len() == 1;
            }
            _ => {
                if !first {
                    out.push('/');
                }
                out.push_str(element);
                first = false;
            }
        }
    }
    if matches!(last, "." | "..") {
        out.push('/');
    }
    match out.strip_prefix('/') {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        let url = Url::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        String::from_utf8(url.to_bytes()).unwrap()
    }

    #[test]
    fn urls_are_printed_as_go_prints_them() {
        let rows = [
            ("http://a/b", "http://a/b"),
            ("HTTP://A.b:80/", "http://A.b:80/"),
            ("http://a", "http://a"),
            ("http://a?", "http://a?"),
            ("http://a/p?a?b", "http://a/p?a?b"),
            ("http://a/b c", "http://a/b%20c"),
            ("http://a/b%2Fc", "http://a/b%2Fc"),
            ("http://a/b%2fc", "http://a/b%2fc"),
            ("http://a/a(b)!{c}", "http://a/a%28b%29%21%7Bc%7D"),
            ("http://a/a(b)!", "http://a/a(b)!"),
            ("http://a/[0]", "http://a/[0]"),
            ("http://a/\\", "http://a/%5C"),
            ("http://a/é", "http://a/%C3%A9"),
            ("http://u:p@a/", "http://u:p@a/"),
            ("http://u@a/", "http://u@a/"),
            ("http://:@a/", "http://:@a/"),
            ("http://@a/", "http://@a/"),
            ("http://u%40:p%3a@a/", "http://u%40:p%3A@a/"),
            ("http://[fe80::1%25eth0]:80/", "http://[fe80::1%25eth0]:80/"),
            ("http://[::1]", "http://[::1]"),
            ("http://a/#f g", "http://a/#f%20g"),
            ("http:///p", "http:///p"),
            ("http:/p", "http:/p"),
            ("http:p", "http:p"),
            ("mailto:a@b", "mailto:a@b"),
            ("//h/p", "//h/p"),
            ("///p", "///p"),
            ("./a:b", "./a:b"),
            ("?q", "?q"),
            ("*", "*"),
        ];
        for (text, want) in rows {
            assert_eq!(printed(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_in_gos_words() {
        let rows = [
            ("http://a/\n", "net/url: invalid control character in URL"),
            ("http://a/%zz", "invalid URL escape \"%zz\""),
            ("http://a/%2", "invalid URL escape \"%2\""),
            ("http://a:b/", "invalid port \":b\" after host"),
            ("http://a:-1/", "invalid port \":-1\" after host"),
            ("http://a b/", "invalid character \" \" in host name"),
            ("http://v4%2Etest/", "invalid URL escape \"%2E\""),
            ("http://[::1/", "missing ']' in host"),
            ("http://[::1]x/", "invalid port \"x\" after host"),
            ("http://a[::1]/", "invalid IP-literal"),
            ("http://[127.0.0.1]/", "invalid IP-literal"),
            ("http://a<b:c@d/", "net/url: invalid userinfo"),
            (":x", "missing protocol scheme"),
            ("1a:b", "first path segment in URL cannot contain colon"),
        ];
        for (text, want) in rows {
            assert_eq!(Url::parse(text).unwrap_err().to_string(), want, "{text}");
        }
        assert!(Url::parse("http://[bad/").is_err());
        assert!(Url::parse("http://[bad]/").is_err());
    }

    #[test]
    fn references_are_resolved_as_go_does() {
        let rows = [
            ("http://h/a/b", "/c", "http://h/c"),
            ("http://h/a/b", "c", "http://h/a/c"),
            ("http://h/a/b/", "c", "http://h/a/b/c"),
            ("http://h/a/b", "./c", "http://h/a/c"),
            ("http://h/a/b/c", "../d", "http://h/a/d"),
            ("http://h/a", "../../../d", "http://h/d"),
            ("http://h/a", "/b/../c/./d", "http://h/c/d"),
            ("http://h/a?x", "?y", "http://h/a?y"),
            ("http://h/a?x", "#f", "http://h/a?x#f"),
            ("http://h/a?x", "", "http://h/a?x"),
            ("http://h/a", "//o/c", "http://o/c"),
            ("http://h/a", "HTTP://O", "http://O"),
            ("http://h/a", "/b//c", "http://h/b//c"),
            ("http://h/a", "//", "http://h/a"),
            ("http://h/a", "..", "http://h/"),
            ("http://h/a/b/c", ".", "http://h/a/b/"),
            ("http://h/a/b/c", "..", "http://h/a/"),
            ("http://u:p@h/a", "/c", "http://u:p@h/c"),
            ("http://u:p@h/a", "http://h/c", "http://h/c"),
            ("http://h/a", "mailto:x", "mailto:x"),
            ("http://h", "c", "http://h/c"),
        ];
        for (base, reference, want) in rows {
            let base = Url::parse(base).unwrap();
            let url = base.resolve(&Url::parse(reference).unwrap());
            assert_eq!(String::from_utf8(url.to_bytes()).unwrap(), want, "{reference}");
        }
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let rows = [
            ("http://a:80/", "a", "80"),
            ("http://a:/", "a", ""),
            ("http://a/", "a", ""),
            ("http://[::1]:80/", "::1", "80"),
            ("http://[::1]/", "::1", ""),
            ("http://a:1:80/", "a:1", "80"),
            ("http://[fe80::1%25e]:1", "fe80::1%e", "1"),
        ];
        for (text, host, port) in rows {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.hostname(), url.port()), (host, port), "{text}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let url = Url::parse("http://ann:secret@h/p?q").unwrap();
        assert_eq!(url.to_string(), "http://ann:xxxxx@h/p?q");
        assert_eq!(url.without_user(), b"http://h/p?q");
        assert!(!format!("{url:?}").contains("secret"));
    }

    #[test]
    fn bytes_of_any_kind_are_taken() {
        let url = Url::parse(b"/caf\xe9?x=\xff".as_slice()).unwrap();
        assert_eq!(&*url.request_uri(), b"/caf%E9?x=\xff");
    }
}
