//! `--config.expand-environment-variables` (ours): `${NAME}` and `${file:PATH}` in secrets, headers, bodies and URLs. The types of
//! fields say which those are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::confidential::MASK;
use super::secret::Secret;
use super::tree::Step;
use crate::os_error;

/// Most bytes of a file that stands for a value.
const MOST: u64 = 64 << 10;

/// Fewest bytes of a value outside of secrets that a peer may not repeat on pages and in logs: shorter ones (`POST`, `5s`) would be found
/// everywhere.
const SHORTEST: usize = 8;

/// What a text is in which references are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A secret.
    Secret,
    /// What a probe sends: a header, a body, a user's name.
    Sent,
    /// A URL, or the address of a server.
    Url,
}

/// A value that is shown as something else: references were a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded {
    /// Where in its module it is.
    pub(crate) path: Vec<Step>,
    /// What is shown there.
    pub(crate) shown: String,
    /// What no page and no log shows if a peer repeats it.
    pub(crate) hidden: Vec<Secret>,
}

impl Expanded {
    /// A value that was `written` with references.
    pub(super) fn new(path: Vec<Step>, written: &str, came_to: CameTo, purpose: Purpose) -> Self {
        let shown = match purpose {
            Purpose::Url => without_password(written),
            Purpose::Secret | Purpose::Sent => written.to_owned(),
        };
        let is_hidden = |value: &String| match purpose {
            Purpose::Secret => true,
            // Names of servers are no secrets.
            Purpose::Sent => value.len() >= SHORTEST && !is_host_header(&path),
            Purpose::Url => value.len() >= SHORTEST && !host(&came_to.text).contains(value),
        };
        let hidden = came_to.values.iter().filter(|value| is_hidden(value));
        let hidden = hidden.map(Secret::new).collect();
        Self { path, shown, hidden }
    }

    /// A value that is not shown.
    pub(crate) fn masked(path: Vec<Step>, value: &str) -> Self {
        Self {
            path,
            shown: MASK.to_owned(),
            hidden: vec![Secret::new(value)],
        }
    }
}

/// The files that references name, and what was in them; nothing in those that could not be read.
#[derive(Debug, Default)]
pub struct ReferencedFiles(BTreeMap<String, Option<Secret>>);

impl ReferencedFiles {
    /// What is in a file: for all references the same.
    fn read(&mut self, path: &str) -> Result<String, String> {
        if let Some(Some(known)) = self.0.get(path) {
            return Ok(known.expose().to_owned());
        }
        let content = content(path);
        let known = content.as_ref().ok().map(Secret::new);
        self.0.insert(path.to_owned(), known);
        content
    }

    /// These and others.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether the files have now what they had. What is in a pipe is read once.
    pub fn are_current(&self) -> bool {
        let is_special = |path: &str| Path::new(path).metadata().is_ok_and(|file| !file.is_file());
        self.0.iter().all(|(path, known)| {
            known.is_some() && is_special(path) || content(path).ok().map(Secret::new) == *known
        })
    }
}

/// What a text with references came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CameTo {
    /// The whole text.
    pub(super) text: String,
    /// What each of its references stands for.
    values: Vec<String>,
}

fn is_host_header(path: &[Step]) -> bool {
    path.iter()
        .any(|step| matches!(step, Step::Key(key) if key.eq_ignore_ascii_case("host")))
}

/// The host of a URL, with its port: names of servers are no secrets.
fn host(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let authority = behind.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// A URL with references, without a user whose password is no reference.
fn without_password(written: &str) -> String {
    let literal = replaced(written, |_| Ok(String::new())).unwrap_or_default();
    let user = literal.rsplit_once('@').map_or("", |(user, _)| user);
    let user = user.split_once("://").map_or(user, |(_, user)| user);
    let has_password = user
        .split_once(':')
        .is_some_and(|(_, password)| !password.is_empty());
    match written.rsplit_once('@') {
        Some((before, host)) if has_password => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://{MASK}@{host}")
        }
        _ => written.to_owned(),
    }
}

/// The text with what its references stand for; `None` when it has none.
///
/// # Errors
/// A variable that is not set, or a file that cannot be read.
pub(super) fn expand(text: &str, files: &mut ReferencedFiles) -> Result<Option<CameTo>, String> {
    if !has_reference(text) {
        return Ok(None);
    }
    let mut values = Vec::new();
    let text = replaced(text, |name| {
        let value = match name.strip_prefix("file:") {
            Some(path) => files.read(path)?,
            None => std::env::var(name).map_err(|_| format!("the environment has no variable {name}"))?,
        };
        values.push(value.clone());
        Ok(value)
    });
    text.map(|text| Some(CameTo { text, values }))
}

/// The text with something else in the place of its references, once: what that holds stays.
fn replaced(text: &str, mut value: impl FnMut(&str) -> Result<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}').filter(|(name, _)| is_reference(name)) else {
            // As it stands: `${1}` is a template's.
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        };
        out.push_str(before);
        out.push_str(&value(name)?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether there is something to replace.
pub(super) fn has_reference(text: &str) -> bool {
    let names = text.split("${").skip(1).filter_map(|after| after.split_once('}'));
    names.into_iter().any(|(name, _)| is_reference(name))
}

fn is_reference(name: &str) -> bool {
    let mut letters = name.chars();
    let begins = letters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let is_name = begins && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name || name.strip_prefix("file:").is_some_and(|path| !path.is_empty())
}

/// What is in a file, without the line break at its end.
fn content(path: &str) -> Result<String, String> {
    let unreadable = |error: std::io::Error| os_error::describe_file(Path::new(path), &error);
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let read = file
        .take(MOST + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if read as u64 > MOST {
        return Err(format!("{path} has more than 64 KiB"));
    }
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "hush\n").unwrap();
        let file = token.display();
        let mut files = ReferencedFiles::default();
        let path = std::env::var("PATH").unwrap();
        for (text, expanded) in [
            ("plain $x {y} ${1} ${}", None),
            ("a${PATH}b", Some(format!("a{path}b"))),
            (
                &*format!("Bearer ${{file:{file}}}"),
                Some("Bearer hush".to_owned()),
            ),
        ] {
            assert_eq!(has_reference(text), expanded.is_some(), "{text}");
            let came_to = expand(text, &mut files).map(|came_to| came_to.map(|came_to| came_to.text));
            assert_eq!(came_to, Ok(expanded), "{text}");
        }
        assert!(expand("${NO_SUCH_VARIABLE_AT_ALL}", &mut files).is_err());
        assert!(expand("${file:/no/such/file}", &mut files).is_err());
        assert!(files.are_current());
        std::fs::write(&token, "hush\r\n").unwrap();
        assert!(files.are_current(), "the value is the same");
        std::fs::write(&token, "hush2").unwrap();
        assert!(!files.are_current());
        std::fs::remove_file(&token).unwrap();
        assert!(!files.are_current());
    }

    #[test]
    fn what_is_hidden_depends_on_the_field() {
        let long = "long-value";
        #[rustfmt::skip]
        let rows = [
            (Purpose::Secret, "5s", "5s", true),
            (Purpose::Sent, "POST", "a POST", false),
            (Purpose::Sent, long, "a long-value", true),
            (Purpose::Url, long, "https://long-value:1/a", false),
            (Purpose::Url, long, "https://u@x.long-value#a", false),
            (Purpose::Url, long, "long-value:53", false),
            (Purpose::Url, long, "https://long-value@h/", true),
            (Purpose::Url, long, "https://h/long-value", true),
            (Purpose::Url, "https://h/a", "https://h/a", true),
        ];
        for (purpose, value, text, is_hidden) in rows {
            let came_to = CameTo {
                text: text.to_owned(),
                values: vec![value.to_owned()],
            };
            let expanded = Expanded::new(Vec::new(), "", came_to, purpose);
            assert_eq!(!expanded.hidden.is_empty(), is_hidden, "{text}");
        }
        let host = CameTo {
            text: long.to_owned(),
            values: vec![long.to_owned()],
        };
        let path = vec![Step::Key("headers".to_owned()), Step::Key("Host".to_owned())];
        assert!(Expanded::new(path, "", host, Purpose::Sent).hidden.is_empty());
        for (written, shown) in [
            ("http://u:p@${A}:1/", "http://<secret>@${A}:1/"),
            ("http://u:p${A}@h", "http://<secret>@h"),
            ("http://${U}:${file:/p@q}@h", "http://${U}:${file:/p@q}@h"),
            ("http://u@${A}", "http://u@${A}"),
            ("${A}", "${A}"),
        ] {
            assert_eq!(without_password(written), shown);
        }
    }
}
