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
    /// Hides a secret: as it is, escaped as in a query, escaped as far as can be, and as in a quoted text.
    pub fn hide(&self, secret: &[u8]) {
        if secret.len() < SHORTEST {
            return;
        }
        let plain = carried::text(secret);
        let mut forms = self.forms();
        for form in [
            plain.to_string(),
            query_escape(secret).into_owned(),
            query_escape(secret).replace('+', "%20"),
            plain.escape_debug().to_string(),
            // Some escape all but letters and digits.
            percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        ] {
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
        let binary = carried::text(b"x\xff\xfe\xfd\xfcy").into_owned();
        assert_eq!(secrets.masked(&binary).as_deref(), Some("x<secret>y"));
    }
}
