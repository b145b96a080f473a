//! What a probe sends as a secret. A peer may repeat it; whoever writes logs, pages and errors masks it there.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::proxy::{Proxies, basic, basic_of};
use super::url::{UserInfo, query_escape};
use crate::carried;
use crate::config::{MASK, names_secret};

/// Shorter texts would be found everywhere.
const SHORTEST: usize = 4;

/// How much of a secret must stand where a text was cut for it to be masked, in bytes.
const SHORTEST_REST: usize = 4;

/// The secrets of one probe, in the forms in which they may come back.
#[derive(Default)]
pub struct Secrets(Mutex<Vec<String>>);

/// Their number only.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.forms().len())
    }
}

impl Secrets {
    /// Hides a secret: as it is, and as peers escape it in URLs, JSON, HTML and quoted texts.
    pub fn hide(&self, secret: &[u8]) {
        if secret.len() < SHORTEST {
            return;
        }
        let mut forms = self.forms();
        for form in spellings(secret) {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        // What holds another one goes first.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// Hides the value of an `Authorization` field: the credentials behind the scheme.
    pub fn hide_authorization(&self, value: &[u8]) {
        let credentials = value.splitn(2, |b| *b == b' ').nth(1);
        self.hide(credentials.unwrap_or(value));
    }

    /// Hides a name with its password, and the password.
    pub fn hide_basic(&self, name: &[u8], password: &[u8]) {
        if !password.is_empty() {
            self.hide(password);
            self.hide_authorization(basic_of(name, password).as_bytes());
        }
    }

    /// Hides the password of a URL.
    pub fn hide_user(&self, user: &UserInfo) {
        if let Some(password) = user.password.as_deref().filter(|password| !password.is_empty()) {
            self.hide(password);
            self.hide_authorization(basic(user).as_bytes());
        }
    }

    /// Hides what proxies are sent.
    pub fn hide_proxies(&self, proxies: &Proxies) {
        for proxy in proxies.all() {
            for (_, value) in proxies.connect_headers(proxy).iter() {
                self.hide(value);
                self.hide_authorization(value);
            }
            if let Some(user) = &proxy.user {
                self.hide_user(user);
            }
        }
    }

    /// Hides the value of a header, parameter or piece of metadata whose name says that it is a credential.
    pub fn hide_if_named(&self, name: &str, value: &[u8]) {
        if names_secret(name) {
            self.hide(value);
            self.hide_authorization(value);
        }
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.forms().is_empty()
    }

    /// The text without secrets, if there are any in it.
    pub fn masked(&self, text: &str) -> Option<String> {
        let mut masked = Cow::Borrowed(text);
        let forms = self.forms();
        for form in forms.iter() {
            if masked.contains(form.as_str()) {
                masked = Cow::Owned(masked.replace(form.as_str(), MASK));
            }
        }
        // The text may have been cut within one: at its end, or where it quotes something that was.
        for form in forms.iter() {
            if let Cow::Owned(rest_masked) = without_cut(&masked, form) {
                masked = Cow::Owned(rest_masked);
            }
        }
        match masked {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked),
        }
    }

    fn forms(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a secret looks like in texts.
fn spellings(secret: &[u8]) -> Vec<String> {
    let plain = carried::text(secret);
    let mut all = vec![plain.to_string()];
    // The usual token.
    if secret.iter().all(u8::is_ascii_alphanumeric) {
        return all;
    }
    let query = query_escape(secret).into_owned();
    let percent = [
        query.replace('+', "%20"),
        query,
        // Some escape all but letters and digits.
        percent_encode(secret, NON_ALPHANUMERIC).to_string(),
    ];
    for form in percent {
        let path = form.replace("%2F", "/");
        all.extend([lower_hex(&form), lower_hex(&path), form, path]);
    }
    // JSON as most write it, as PHP does, and as Go does.
    let json = serde_json::Value::from(&*plain).to_string();
    let json = json.trim_matches('"');
    let go = [('&', "\\u0026"), ('<', "\\u003c"), ('>', "\\u003e")];
    all.extend([plain.escape_debug().to_string(), json.to_owned()]);
    all.extend([json.replace('/', "\\/"), escaped(json, &go)]);
    // HTML as Go, Python and PHP write it; a template of Go escapes the plus, too.
    let html = escaped(&plain, &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")]);
    let (go, quote) = ([('"', "&#34;"), ('\'', "&#39;")], ('"', "&quot;"));
    all.extend([escaped(&html, &go), escaped(&html, &go).replace('+', "&#43;")]);
    all.extend(["&#x27;", "&#039;"].map(|apostrophe| escaped(&html, &[quote, ('\'', apostrophe)])));
    all
}

/// The text with something else for each of some characters. What is put there has none of those that come later.
fn escaped(text: &str, table: &[(char, &str)]) -> String {
    let replace = |text: String, (from, to): &(char, &str)| text.replace(*from, to);
    table.iter().fold(text.to_owned(), replace)
}

/// A percent-encoded text with its hexadecimal digits in lower case.
fn lower_hex(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        out + "%" + &digits.to_ascii_lowercase() + rest
    })
}

/// The text without what is left of `form` before each mark of a cut, and at the end.
fn without_cut<'t>(text: &'t str, form: &str) -> Cow<'t, str> {
    let mut shown = String::new();
    let mut copied = 0;
    let mut end = 0;
    for piece in text.split_inclusive('…') {
        let kept = piece.trim_end_matches(['…', '"', '\\', ')', ']']);
        let rest = (SHORTEST_REST..form.len().min(kept.len() + 1))
            .rev()
            .filter_map(|length| form.get(..length))
            .find(|rest| kept.ends_with(rest));
        if let Some(rest) = rest {
            let behind = end + kept.len();
            shown.push_str(text.get(copied..behind - rest.len()).unwrap_or_default());
            shown.push_str(MASK);
            copied = behind;
        }
        end += piece.len();
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(shown)
}

impl Drop for Secrets {
    fn drop(&mut self) {
        for form in self.forms().iter_mut() {
            zeroize::Zeroize::zeroize(form);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_in_every_form() {
        let secrets = Secrets::default();
        assert!(secrets.is_empty());
        secrets.hide(b"abc");
        secrets.hide_basic(b"ann", b"p@ss \"word");
        secrets.hide_authorization(b"Bearer token-1234");
        secrets.hide_if_named("X-Api-Key", b"key-of-ann");
        secrets.hide_if_named("Accept", b"text/html");
        secrets.hide(b"\xff\xfe\xfd\xfc");
        secrets.hide("dots…within".as_bytes());
        let rows = [
            ("nothing, abc, text/html", None),
            ("said p@ss \"word again", Some("said <secret> again")),
            ("quoted \"p@ss \\\"word\"", Some("quoted \"<secret>\"")),
            ("a=p%40ss+%22word&b", Some("a=<secret>&b")),
            ("a=p%40ss%20%22word", Some("a=<secret>")),
            ("a=token%2D1234", Some("a=<secret>")),
            ("Basic YW5uOnBAc3MgIndvcmQ=", Some("Basic <secret>")),
            ("Bearer token-1234, key-of-ann", Some("Bearer <secret>, <secret>")),
            ("cut: token-12…", Some("cut: <secret>…")),
            ("cut: \"token-12\"", Some("cut: \"<secret>\"")),
            ("(response: 407 token-12)", Some("(response: 407 <secret>)")),
            (
                "begins \"... token-12…\", and ends",
                Some("begins \"... <secret>…\", and ends"),
            ),
            ("token-1…, key-of…: key", Some("<secret>…, <secret>…: key")),
            ("a tok…", None),
            ("it is dots…within, all", Some("it is <secret>, all")),
        ];
        for (text, want) in rows {
            assert_eq!(secrets.masked(text).as_deref(), want, "{text}");
        }
        let odd = Secrets::default();
        odd.hide(b"kZ9/x+4aQ&b<\"c'T==");
        for escaped in [
            "kZ9\\/x+4aQ&b<\\\"c'T==",
            "kZ9/x+4aQ\\u0026b\\u003c\\\"c'T==",
            "kZ9/x+4aQ&amp;b&lt;&#34;c&#39;T==",
            "kZ9/x&#43;4aQ&amp;b&lt;&#34;c&#39;T==",
            "kZ9/x+4aQ&amp;b&lt;&quot;c&#x27;T==",
            "kZ9/x+4aQ&amp;b&lt;&quot;c&#039;T==",
            "kZ9%2Fx%2B4aQ%26b%3C%22c%27T%3D%3D",
            "kZ9%2fx%2b4aQ%26b%3c%22c%27T%3d%3d",
            "kZ9/x%2B4aQ%26b%3C%22c%27T%3D%3D",
            "kZ9/x%2b4aQ%26b%3c%22c%27T%3d%3d",
        ] {
            assert_eq!(odd.masked(escaped).as_deref(), Some("<secret>"), "{escaped}");
        }
        let binary = carried::text(b"x\xff\xfe\xfd\xfcy").into_owned();
        assert_eq!(secrets.masked(&binary).as_deref(), Some("x<secret>y"));
    }
}
