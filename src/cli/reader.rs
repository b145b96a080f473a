//! kingpin's reading of a command line: which flags were given, with which text, in their order.

use std::collections::VecDeque;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is there or not.
    Nothing,
    /// One value, once.
    Value,
    /// One value each time.
    Values,
}

/// A flag as it is read: long name, short name, and what it takes.
pub type Flag = (&'static str, Option<char>, Takes);

/// Reads long and short flags; nothing else may stand on the command line.
///
/// # Errors
/// An unknown flag, a flag without its value, or anything that is no flag.
pub fn read(flags: &[Flag], arguments: &[String]) -> Result<Vec<(&'static str, String)>, String> {
    let mut given = Vec::new();
    let mut rest: VecDeque<String> = arguments.iter().cloned().collect();
    while let Some(argument) = rest.pop_front() {
        if argument == "--" {
            // Only arguments follow, and there are none to take.
            return rest
                .pop_front()
                .map_or(Ok(given), |stray| Err(format!("unexpected {stray}")));
        }
        if let Some(long) = argument.strip_prefix("--") {
            given.push(read_long(flags, long, &mut rest)?);
        } else if argument.len() > 1 && argument.starts_with('-') {
            given.push(read_short(flags, &argument, &mut rest)?);
        } else {
            // kingpin reads a lone dash as an empty argument.
            return Err(format!("unexpected {}", argument.trim_start_matches('-')));
        }
    }
    Ok(given)
}

fn read_long(
    flags: &[Flag],
    text: &str,
    rest: &mut VecDeque<String>,
) -> Result<(&'static str, String), String> {
    let (name, attached) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let find = |name: &str| flags.iter().find(|(long, ..)| *long == name);
    let (flag, inverted) = match find(name) {
        Some(flag) => (Some(flag), false),
        None => (name.strip_prefix("no-").and_then(find), true),
    };
    let unknown = || format!("unknown long flag '--{name}'");
    let (long, _, takes) = *flag.ok_or_else(unknown)?;
    if takes == Takes::Nothing {
        return match attached {
            Some(value) => Err(format!("unexpected {value}")),
            None => Ok((long, (!inverted).to_string())),
        };
    }
    if inverted {
        return Err(unknown());
    }
    let value = match attached {
        Some(value) => value,
        None => next_value(rest).ok_or_else(|| format!("expected argument for flag '--{name}'"))?,
    };
    Ok((long, value))
}

fn read_short(
    flags: &[Flag],
    text: &str,
    rest: &mut VecDeque<String>,
) -> Result<(&'static str, String), String> {
    let mut letters = text.chars().skip(1);
    let letter = letters.next().unwrap_or('-');
    let attached: String = letters.collect();
    let (long, _, takes) = *flags
        .iter()
        .find(|(_, short, _)| *short == Some(letter))
        .ok_or_else(|| format!("unknown short flag '-{letter}'"))?;
    if takes == Takes::Nothing {
        if !attached.is_empty() {
            rest.push_front(format!("-{attached}"));
        }
        return Ok((long, "true".to_owned()));
    }
    let value = if attached.is_empty() {
        next_value(rest).ok_or_else(|| format!("expected argument for flag '-{letter}'"))?
    } else {
        attached
    };
    Ok((long, value))
}

/// The next argument, unless it is a flag itself. A lone `-` is an empty value.
fn next_value(rest: &mut VecDeque<String>) -> Option<String> {
    if rest.front().is_some_and(|next| next == "--") {
        rest.pop_front();
        return rest.pop_front();
    }
    let next = rest.pop_front_if(|next| !next.starts_with('-') || next == "-")?;
    Some(if next == "-" { String::new() } else { next })
}
