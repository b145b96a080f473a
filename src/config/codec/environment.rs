//! `--config.expand-environment-variables` (ours): `${NAME}` and `${file:PATH}` in secrets, headers, bodies and URLs. The types of
//! fields say which those are.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::os_error;

/// Most bytes of a file that stands for a value.
const MOST: u64 = 64 << 10;

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

/// The text with what its references stand for; `None` when it has none.
///
/// # Errors
/// A variable that is not set, or a file that cannot be read.
pub(crate) fn expand(text: &str) -> Result<Option<String>, String> {
    let mut out = String::new();
    let mut rest = text;
    let mut is_changed = false;
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
        is_changed = true;
    }
    out.push_str(rest);
    Ok(is_changed.then_some(out))
}

/// Whether there is something to replace.
pub(crate) fn has_reference(text: &str) -> bool {
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

fn value(name: &str) -> Result<String, String> {
    let Some(path) = name.strip_prefix("file:") else {
        return std::env::var(name).map_err(|_| format!("the environment has no variable {name}"));
    };
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
        let file = folder.path().join("token");
        std::fs::write(&file, "hush\n").unwrap();
        let file = file.display();
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
            assert_eq!(expand(text), Ok(expanded), "{text}");
        }
        assert!(expand("${NO_SUCH_VARIABLE_AT_ALL}").is_err());
        assert!(expand("${file:/no/such/file}").is_err());
    }
}
