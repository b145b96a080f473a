//! Cookies within one probe: a jar by the rules of Go's `net/http` and `net/http/cookiejar` (RFC 6265, public suffixes).

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use gostd::address::Address;
use gostd::address::split_host_port;
use gostd::calendar::unix_now;
use gostd::http_date;
use gostd::url::{Url, punycode};
use tokio::time::Instant;

use crate::headers::{Headers, is_token, trim};

/// Most `Set-Cookie` fields of one answer that are read, with more of them Go reads none; and most cookies of a jar.
const MAX_COOKIES: usize = 3000;

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    name: String,
    value: String,
    quoted: bool,
}

/// The cookies that answers of this probe have set.
#[derive(Debug, Default)]
pub struct Jar {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    cookie: Cookie,
    domain: String,
    host_only: bool,
    path: Vec<u8>,
    secure: bool,
    /// `None` lasts as long as the jar.
    end: Option<End>,
}

/// When a cookie is none any more.
#[derive(Debug)]
enum End {
    /// After `Max-Age`, however the clock is set meanwhile.
    Age(Instant),
    /// At `Expires`, in seconds since 1970.
    Date(i64),
}

impl End {
    fn has_come(&self) -> bool {
        match self {
            Self::Age(end) => *end <= Instant::now(),
            Self::Date(end) => *end <= unix_now(),
        }
    }
}

/// A `Set-Cookie` field.
#[derive(Debug)]
struct SetCookie {
    cookie: Cookie,
    domain: String,
    path: String,
    secure: bool,
    max_age: Option<u64>,
    expires: Option<i64>,
}

impl Jar {
    /// The cookies for a request to `url` whose `Host` is `host` (empty: the URL's own).
    pub fn cookies(&self, url: &Url, host: &str) -> Vec<Cookie> {
        if self.entries.is_empty() {
            return Vec::new();
        }
        let Some(host) = self.host(url, host) else {
            return Vec::new();
        };
        let decoded = url.decoded_path();
        let path: &[u8] = if decoded.is_empty() { b"/" } else { &decoded };
        let fits = |entry: &&Entry| {
            !entry.end.as_ref().is_some_and(End::has_come)
                && (entry.domain == host || !entry.host_only && has_dot_suffix(&host, &entry.domain))
                && path_fits(path, &entry.path)
                && (!entry.secure || url.scheme == "https" || is_local(&entry.domain))
        };
        let mut chosen: Vec<&Entry> = self.entries.iter().filter(fits).collect();
        // The order of equal paths is that of their making; Go compares the paths themselves, not their lengths.
        chosen.sort_by(|a, b| b.path.cmp(&a.path));
        chosen.into_iter().map(|entry| entry.cookie.clone()).collect()
    }

    /// Takes the cookies of an answer.
    pub fn store(&mut self, url: &Url, host: &str, answer: &Headers) {
        let fields: Vec<&[u8]> = answer.values("Set-Cookie").collect();
        if fields.is_empty() || fields.len() > MAX_COOKIES {
            return;
        }
        let Some(host) = self.host(url, host) else {
            return;
        };
        let default_path = default_path(&url.decoded_path());
        for cookie in fields.into_iter().filter_map(parse_set_cookie) {
            self.store_one(cookie, &host, &default_path);
        }
    }

    fn store_one(&mut self, set: SetCookie, host: &str, default_path: &[u8]) {
        let Some((domain, host_only)) = domain_of(host, &set.domain) else {
            return;
        };
        let path = if set.path.starts_with('/') {
            set.path.into_bytes()
        } else {
            default_path.to_vec()
        };
        let end = match (set.max_age, set.expires) {
            // An age beyond all counting has no end.
            (Some(age), _) => Instant::now().checked_add(Duration::from_secs(age)).map(End::Age),
            (None, expires) => expires.map(End::Date),
        };
        let old = self
            .entries
            .iter()
            // Names first: of many cookies they are what differs.
            .position(|e| e.cookie.name == set.cookie.name && e.domain == domain && e.path == path);
        if end.as_ref().is_some_and(End::has_come) {
            if let Some(old) = old {
                self.entries.remove(old);
            }
            return;
        }
        let entry = Entry {
            cookie: set.cookie,
            domain,
            host_only,
            path,
            secure: set.secure,
            end,
        };
        let has_room = self.entries.len() < MAX_COOKIES;
        match old.and_then(|old| self.entries.get_mut(old)) {
            Some(old) => *old = entry,
            None if has_room => self.entries.push(entry),
            // compat: upstream keeps any number.
            None => {}
        }
    }

    /// The canonical host that cookies go by.
    fn host(&self, url: &Url, host: &str) -> Option<String> {
        if !matches!(url.scheme.as_str(), "http" | "https") {
            return None;
        }
        let host = if host.is_empty() { &url.host } else { host };
        let colons = host.matches(':').count();
        let has_port = colons == 1 || colons > 1 && host.starts_with('[') && host.contains("]:");
        let name = if has_port {
            split_host_port(host).ok()?.0
        } else {
            host
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        Some(punycode(name)?.to_ascii_lowercase())
    }
}

/// Adds `cookies` to the `Cookie` field of a request.
pub fn add_cookies(headers: &mut Headers, cookies: &[Cookie]) {
    if cookies.is_empty() {
        return;
    }
    let mut field = headers.value("Cookie").unwrap_or_default().to_vec();
    for Cookie { name, value, quoted } in cookies {
        if !field.is_empty() {
            field.extend_from_slice(b"; ");
        }
        let quote = if *quoted || value.contains([' ', ',']) {
            "\""
        } else {
            ""
        };
        field.extend_from_slice(format!("{name}={quote}{value}{quote}").as_bytes());
    }
    headers.set("Cookie", field);
}

/// The cookies of the module's own `Cookie` field, which answers may replace.
#[derive(Debug)]
pub struct OwnCookies {
    cookies: Vec<Cookie>,
}

impl OwnCookies {
    /// Reads the `Cookie` field of the first request.
    pub fn of(headers: &Headers) -> Self {
        let parts = headers
            .values("Cookie")
            .flat_map(|line| line.split(|b| *b == b';'));
        Self {
            cookies: parts
                .map(trim)
                .filter(|p| !p.is_empty())
                .filter_map(parse_pair)
                .collect(),
        }
    }

    /// Takes those out that an answer sets again; the rest as a `Cookie` field, if something was taken out.
    pub fn replaced_by(&mut self, answer: &Headers) -> Option<String> {
        if self.cookies.is_empty() {
            return None;
        }
        let before = self.cookies.len();
        let fields: Vec<&[u8]> = answer.values("Set-Cookie").collect();
        if fields.len() > MAX_COOKIES {
            return None;
        }
        for set in fields.into_iter().filter_map(parse_set_cookie) {
            self.cookies.retain(|own| own.name != set.cookie.name);
        }
        if self.cookies.len() == before {
            return None;
        }
        let mut pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|c| format!("{}={}", c.name, c.value))
            .collect();
        pairs.sort();
        Some(pairs.join("; "))
    }
}

/// `name=value` of a `Cookie` field; a missing `=` is an empty value there.
fn parse_pair(part: &[u8]) -> Option<Cookie> {
    let (name, value) = split_pair(part);
    let name = trim(name);
    if !is_token(name) {
        return None;
    }
    let (value, quoted) = cookie_value(value.unwrap_or_default(), true)?;
    Some(Cookie {
        name: text(name),
        value,
        quoted,
    })
}

fn parse_set_cookie(line: &[u8]) -> Option<SetCookie> {
    let mut parts = trim(line).split(|b| *b == b';').map(trim);
    let (name, value) = split_pair(parts.next()?);
    let name = trim(name);
    let (value, quoted) = cookie_value(value?, true)?;
    if !is_token(name) {
        return None;
    }
    let mut set = SetCookie {
        cookie: Cookie {
            name: text(name),
            value,
            quoted,
        },
        domain: String::new(),
        path: String::new(),
        secure: false,
        max_age: None,
        expires: None,
    };
    for part in parts {
        let (name, value) = split_pair(part);
        let Some((value, _)) = cookie_value(value.unwrap_or_default(), false) else {
            continue;
        };
        match text(name).to_ascii_lowercase().as_str() {
            "secure" => set.secure = true,
            "domain" => set.domain = value,
            "path" => set.path = value,
            "max-age" => {
                let age = value.parse::<i64>().ok();
                if let Some(age) = age.filter(|age| *age == 0 || !value.starts_with('0')) {
                    set.max_age = Some(u64::try_from(age).unwrap_or(0));
                }
            }
            "expires" => set.expires = http_date::parse_cookie(value.as_bytes()),
            _ => {}
        }
    }
    Some(set)
}

fn split_pair(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    match part.iter().position(|b| *b == b'=') {
        Some(i) => (part.get(..i).unwrap_or_default(), part.get(i + 1..)),
        None => (part, None),
    }
}

/// A value without its quotes, and whether it had some; `None` when a character is not allowed.
fn cookie_value(mut value: &[u8], may_be_quoted: bool) -> Option<(String, bool)> {
    let mut quoted = false;
    if let [b'"', inner @ .., b'"'] = value
        && may_be_quoted
    {
        value = inner;
        quoted = true;
    }
    let valid = |b: &u8| (b' '..0x7f).contains(b) && !matches!(b, b'"' | b';' | b'\\');
    value.iter().all(valid).then(|| (text(value), quoted))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The folder of a page (RFC 6265, section 5.1.4).
fn default_path(path: &[u8]) -> Vec<u8> {
    match path.iter().rposition(|b| *b == b'/') {
        Some(end @ 1..) if path.starts_with(b"/") => path.get(..end).unwrap_or_default().to_vec(),
        _ => b"/".to_vec(),
    }
}

fn path_fits(path: &[u8], cookie: &[u8]) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with(b"/") || rest.starts_with(b"/"))
}

fn has_dot_suffix(text: &str, suffix: &str) -> bool {
    text.strip_suffix(suffix)
        .is_some_and(|before| before.ends_with('.'))
}

/// Secure cookies go to this machine without TLS too, as browsers do it.
fn is_local(domain: &str) -> bool {
    let last = domain.strip_suffix('.').unwrap_or(domain);
    let last = last.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
        || domain
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn is_ip(host: &str) -> bool {
    host.contains([':', '%']) || Address::parse(host).is_some()
}

/// The domain that a cookie of `host` goes to, and whether it is for that host only; `None` when it is refused.
fn domain_of(host: &str, domain: &str) -> Option<(String, bool)> {
    if domain.is_empty() {
        return Some((host.to_owned(), true));
    }
    if is_ip(host) {
        return (host == domain).then(|| (host.to_owned(), true));
    }
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    if domain.is_empty() || domain.starts_with('.') || domain.ends_with('.') {
        return None;
    }
    let domain = domain.to_ascii_lowercase();
    let suffix = public_suffix(&domain);
    if !has_dot_suffix(&domain, &suffix) {
        return (host == domain).then(|| (host.to_owned(), true));
    }
    if host != domain && !has_dot_suffix(host, &domain) {
        return None;
    }
    Some((domain, false))
}

/// The public suffix of a domain by the list, private ones included; its last label when no rule fits.
fn public_suffix(domain: &str) -> Cow<'_, str> {
    let listed = psl::suffix(domain.as_bytes()).and_then(|s| std::str::from_utf8(s.as_bytes()).ok());
    listed.map_or_else(
        || Cow::Borrowed(domain.rsplit('.').next().unwrap_or(domain)),
        |s| Cow::Owned(s.to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jar_has_an_end() {
        let url = Url::parse("http://a.test/").unwrap();
        let mut jar = Jar::default();
        for answer in 0..2 {
            let mut headers = Headers::default();
            for cookie in 0..2000 {
                headers.add("Set-Cookie", format!("n{answer}-{cookie}=v"));
            }
            jar.store(&url, "", &headers);
        }
        assert_eq!(jar.cookies(&url, "").len(), MAX_COOKIES);
        let mut headers = Headers::default();
        headers.add("Set-Cookie", "n0-0=new");
        headers.add("Set-Cookie", "n2-0=v");
        jar.store(&url, "", &headers);
        let kept = jar.cookies(&url, "");
        assert_eq!(kept.len(), MAX_COOKIES);
        assert!(
            kept.iter()
                .any(|cookie| cookie.name == "n0-0" && cookie.value == "new")
        );
    }

    /// What is sent to `to` after `from` has set `cookies`.
    fn sent(from: &str, cookies: &[&str], to: &str) -> String {
        let mut headers = Headers::default();
        for cookie in cookies {
            headers.add("Set-Cookie", cookie);
        }
        let mut jar = Jar::default();
        jar.store(&Url::parse(from).unwrap(), "", &headers);
        let mut request = Headers::default();
        add_cookies(&mut request, &jar.cookies(&Url::parse(to).unwrap(), ""));
        text(request.value("Cookie").unwrap_or_default())
    }

    #[test]
    fn cookies_come_back_where_they_belong() {
        #[rustfmt::skip]
        let rows: &[(&str, &[&str], &str, &str)] = &[
            ("http://a.test/", &["a=b"], "http://a.test/x", "a=b"),
            ("http://a.test/", &["a=b"], "http://www.a.test/", ""),
            ("http://a.test/", &["a=b; Domain=a.test"], "http://www.a.test/", "a=b"),
            ("http://www.a.test/", &["a=b; Domain=.A.test"], "http://a.test/", "a=b"),
            ("http://a.test/", &["a=b; Domain=b.test"], "http://a.test/", ""),
            ("http://a.test/", &["a=b; Domain=test"], "http://a.test/", ""),
            ("http://a.co.uk/", &["a=b; Domain=co.uk"], "http://a.co.uk/", ""),
            ("http://a.github.io/", &["a=b; Domain=github.io"], "http://a.github.io/", ""),
            ("http://1.2.3.4/", &["a=b; Domain=1.2.3.4"], "http://1.2.3.4/", "a=b"),
            ("http://a.test/x/y", &["a=b"], "http://a.test/x/z", "a=b"),
            ("http://a.test/x/y", &["a=b"], "http://a.test/", ""),
            ("http://a.test/", &["a=b; Path=/ne"], "http://a.test/next", ""),
            ("http://a.test/", &["a=b; Secure"], "http://a.test/", ""),
            ("https://a.test/", &["a=b; Secure"], "https://a.test/", "a=b"),
            ("http://127.0.0.1/", &["a=b; Secure"], "http://127.0.0.1/", "a=b"),
            ("http://a.test/", &["a=1", "a=2"], "http://a.test/", "a=2"),
            ("http://a.test/", &["a=1", "b=2", "a=; Max-Age=0"], "http://a.test/", "b=2"),
            ("http://a.test/", &["a=b; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "http://a.test/", "a=b"),
            ("http://a.test/", &["a=b; Max-Age=-1"], "http://a.test/", ""),
            ("http://a.test/", &["a=\"b c\"", "d=e f", "g=h"], "http://a.test/", "a=\"b c\"; d=\"e f\"; g=h"),
            ("http://a.test/", &["abc", "=v", "a b=c", "x=\u{e9}"], "http://a.test/", ""),
            ("http://a.test/", &["a=1; Path=/", "b=2; Path=/next"], "http://a.test/next", "b=2; a=1"),
        ];
        for (from, cookies, to, want) in rows {
            assert_eq!(sent(from, cookies, to), *want, "{from} {cookies:?} {to}");
        }
    }

    #[test]
    fn own_cookies_are_replaced() {
        let mut headers = Headers::default();
        headers.add("Cookie", "own=1; other=3; bad");
        let mut own = OwnCookies::of(&headers);
        let mut answer = Headers::default();
        assert_eq!(own.replaced_by(&answer), None);
        answer.add("Set-Cookie", "own=2");
        assert_eq!(own.replaced_by(&answer).as_deref(), Some("bad=; other=3"));
        assert_eq!(own.replaced_by(&answer), None);
    }
}
