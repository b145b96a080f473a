//! References to environment variables in the texts of a configuration, `$NAME` and `${NAME}`.

use serde_json::Value;

/// The first reference to an environment variable, `$NAME` or `${NAME}`, if there is one.
pub(super) fn reference(text: &str) -> Option<&str> {
    let (start, end) = find_reference(text, 0)?;
    text.get(start..end)
}

/// From where to where the first reference behind a place goes. `$$` is none.
fn find_reference(text: &str, mut from: usize) -> Option<(usize, usize)> {
    loop {
        let start = from + text.get(from..)?.find('$')?;
        let rest = text.get(start + 1..)?;
        let (brace, name) = match rest.strip_prefix('{') {
            Some(name) => (1, name),
            None => (0, rest),
        };
        let length = name
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(name.len());
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_closed = brace == 0 || name.get(length..).is_some_and(|rest| rest.starts_with('}'));
        if is_name && is_closed {
            return Some((start, start + 1 + length + 2 * brace));
        }
        from = start + if rest.starts_with('$') { 2 } else { 1 };
    }
}

/// Puts the names of variables in braces; whether there was one.
pub(super) fn in_braces(text: &mut String) -> bool {
    let (mut from, mut braced) = (0, String::new());
    while let Some((start, end)) = find_reference(text, from) {
        let reference = text.get(start + 1..end).unwrap_or_default();
        braced.push_str(text.get(from..start).unwrap_or_default());
        match reference.starts_with('{') {
            true => braced.push_str(&format!("${reference}")),
            false => braced.push_str(&format!("${{{reference}}}")),
        }
        from = end;
    }
    braced.push_str(text.get(from..).unwrap_or_default());
    *text = braced;
    from > 0
}

/// Shows each text of a module, and whether it is in a field in which the exporter expands references.
pub(super) fn texts(
    value: &mut Value,
    key: &str,
    mut is_expanded: bool,
    see: &mut dyn FnMut(&mut String, bool),
) {
    const EXPANDED: [&str; 9] = [
        "headers",
        "basic_auth",
        "username",
        "password",
        "body",
        "proxy_url",
        "token_url",
        "client_id",
        "client_secret",
    ];
    is_expanded |= EXPANDED.contains(&key);
    match value {
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(key, value)| texts(value, key, is_expanded, see)),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|value| texts(value, key, is_expanded, see)),
        Value::String(text) => see(text, is_expanded),
        _ => {}
    }
}
