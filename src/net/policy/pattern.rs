//! Patterns of names and paths.

/// Whether letters of both cases are the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Ignored,
    Kept,
}

/// Whether a text fits a pattern in which `*` stands for any characters.
pub(super) fn matches(pattern: &str, text: &[u8], case: Case) -> bool {
    let same = |a: u8, b: u8| match case {
        Case::Ignored => a.eq_ignore_ascii_case(&b),
        Case::Kept => a == b,
    };
    let (mut rest, mut pattern) = (text, pattern.as_bytes());
    // Where to go on when what follows the last star does not fit: one character further.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), rest.split_first()) {
            (Some((b'*', after)), _) => {
                retry = Some((after, rest));
                pattern = after;
            }
            (Some((p, after)), Some((t, others))) if same(*p, *t) => (pattern, rest) = (after, others),
            (None, None) => return true,
            _ => match retry {
                Some((after, [_, others @ ..])) => {
                    retry = Some((after, others));
                    (pattern, rest) = (after, others);
                }
                _ => return false,
            },
        }
    }
}
