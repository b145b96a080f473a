//! Which parts of a configuration file must not be quoted when something is wrong with it: errors end up in logs, in the
//! answer to a reload and in the output of pipelines.

use super::meant::did_you_mean;

/// Keys of secrets, and of sections that hold some.
const KEYS: [&str; 14] = [
    "authorization",
    "basic_auth",
    "basic_auth_users",
    "bearer_token",
    "client_certificate_key",
    "client_secret",
    "credentials",
    "http_headers",
    "key",
    "oauth2",
    "password",
    "proxy_connect_header",
    "proxy_url",
    "secrets",
];

/// What the names of other secrets have in them, headers' names included.
const WORDS: [&str; 15] = [
    "access-key",
    "access_key",
    "api-key",
    "api_key",
    "apikey",
    "assertion",
    "authorization",
    "cookie",
    "credential",
    "functions-key",
    "passw",
    "secret",
    "subscription-key",
    "token",
    "x-auth",
];

/// What stands for a secret.
pub(crate) const MASK: &str = "<secret>";

/// Whether the value of this key, which may be misspelt, is or holds a secret.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    if key.ends_with("_file") || key.ends_with("_ref") {
        return false;
    }
    names_secret(&key) || did_you_mean(&key, KEYS).is_some()
}

/// Whether a header, parameter or piece of metadata of this name may be a credential.
pub(crate) fn names_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    names_credential(&name) || name.ends_with("-key") || name.ends_with("_key")
}

/// Whether it is one beyond doubt: a name that only ends in `-key` may be that of an ordinary key (`X-Shard-Key`).
pub(crate) fn names_credential(name: &str) -> bool {
    let name = name.to_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// A line of the text (counted from 1), without what may be secret in it.
pub(crate) fn masked(text: &str, number: usize) -> String {
    let lines: Vec<&str> = text.lines().take(number).collect();
    let Some((line, before)) = lines.split_last() else {
        return String::new();
    };
    let line = line.trim_start_matches('\u{feff}');
    let hidden_from = if is_in_key(before, line) {
        Some(indentation(line))
    } else if is_below_secret(before, line) {
        // The key itself says what is wrong with it.
        Some(keys(line).next().map_or(indentation(line), |(_, end)| end))
    } else {
        keys(line).find(|(key, _)| is_secret(key)).map(|(_, end)| end)
    };
    match hidden_from.and_then(|at| line.split_at_checked(at)) {
        Some((shown, hidden)) if !hidden.trim().is_empty() => {
            let space = if shown.ends_with(':') { " " } else { "" };
            format!("{shown}{space}{MASK}")
        }
        _ => without_user(line),
    }
}

/// Keys of URLs that are no secrets themselves.
const URLS: [&str; 3] = ["resolver", "server", "token_url"];

/// A line without the user and password of a URL.
fn without_user(line: &str) -> String {
    let Some((user, after)) = line.rsplit_once('@') else {
        return line.to_owned();
    };
    let scheme = user.find("://").map(|at| at + 3);
    // One that is no URL is a mistake, which the line is quoted for.
    let of_key = || keys(user).find(|(key, _)| URLS.contains(key)).map(|(_, end)| end);
    match scheme.or_else(of_key).and_then(|from| user.get(..from)) {
        Some(before) => format!("{before}{MASK}@{after}"),
        None => line.to_owned(),
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The keys on a line, each with where the text behind its colon begins.
fn keys(line: &str) -> impl Iterator<Item = (&str, usize)> {
    line.match_indices(':').filter_map(|(at, _)| {
        let before = line.get(..at)?.trim_end().trim_end_matches(['"', '\'']);
        let key = before.rsplit([' ', '\t', '{', '[', ',', '"', '\'']).next()?;
        (!key.is_empty()).then_some((key, at + 1))
    })
}

/// Whether the line stands below a key of a secret, by indentation.
fn is_below_secret(before: &[&str], line: &str) -> bool {
    let mut depth = indentation(line);
    let mut is_item = line.trim_start().starts_with('-');
    for above in before.iter().rev().filter(|above| !above.trim().is_empty()) {
        let its = indentation(above);
        // The items of a list may stand as deep as its key.
        if its < depth || its == depth && is_item && !above.trim_start().starts_with('-') {
            if keys(above).any(|(key, _)| is_secret(key)) {
                return true;
            }
            (depth, is_item) = (its, above.trim_start().starts_with('-'));
        }
    }
    false
}

/// Whether the line is one of a private key in PEM, which may be indented wrongly.
fn is_in_key(before: &[&str], line: &str) -> bool {
    let begin = before.iter().rposition(|line| line.contains("-----BEGIN"));
    let end = before.iter().rposition(|line| line.contains("-----END"));
    begin > end && !line.contains("-----END")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_quoted() {
        for (text, shown) in [
            ("password: hush", "password: <secret>"),
            (
                "a: {username: ann, password: 'hush, hush'}",
                "a: {username: ann, password: <secret>",
            ),
            ("basic_auth: {pasword: hush}", "basic_auth: <secret>"),
            ("basic_auth:\n  pasword: hush", "  pasword: <secret>"),
            ("a:\n  pasword: hush", "  pasword: <secret>"),
            ("\"password\" : hush", "\"password\" : <secret>"),
            ("http_headers:\n  X-A:\n    values:\n    - hush", "    <secret>"),
            ("secrets:\n- hush", "<secret>"),
            ("key: |\n  hush", "  <secret>"),
            ("key: |\n  -----BEGIN PRIVATE KEY-----\nhush", "<secret>"),
            ("headers: {Cookie: hush}", "headers: {Cookie: <secret>"),
            ("headers:\n  X-Api-Key: hush", "  X-Api-Key: <secret>"),
            ("proxy_url: http://u:hush@h", "proxy_url: <secret>"),
            (
                "resolver: 'https://u:hu@sh@h/q'",
                "resolver: 'https://<secret>@h/q'",
            ),
            ("{from: a@b, server: https://h}", "{from: a@b, server: https://h}"),
            ("password_file: /run/secret", "password_file: /run/secret"),
            ("basic_auth:", "basic_auth:"),
            ("basic_auth:\n  username: ann\nmethod: GET", "method: GET"),
            ("headers: {Accept: x}", "headers: {Accept: x}"),
        ] {
            assert_eq!(masked(text, text.lines().count()), shown, "{text}");
        }
    }
}
