//! kingpin's reading of a command line: which flags were given, with which text, in their order.

use std::collections::VecDeque;

use super::flags::{Flag, Takes};
use super::{SUBCOMMANDS, UsageError};
use crate::config::codec::meant::did_you_mean;
use crate::net::dial::SystemError;

/// Reads long and short flags, up to the flag `last`, or to what `is_end`; nothing else may stand on the command line, but for
/// `@FILE`, whose lines are arguments.
///
/// # Errors
/// An unknown flag, a flag without its value, a file that cannot be read, or anything that is no flag.
pub fn read(
    flags: &[Flag],
    last: &str,
    is_end: impl Fn(&str) -> bool,
    arguments: &[String],
) -> Result<Vec<(&'static str, String)>, UsageError> {
    let mut given = Vec::new();
    let mut rest: VecDeque<String> = arguments.iter().cloned().collect();
    while let Some(argument) = rest.pop_front().filter(|argument| !is_end(argument)) {
        if let Some(path) = argument.strip_prefix('@') {
            insert_lines(path, &mut rest)?;
            continue;
        }
        if argument == "--" {
            // Only arguments follow, and there are none to take.
            return rest.pop_front().map_or(Ok(given), |word| Err(stray(&word)));
        }
        if let Some(long) = argument.strip_prefix("--") {
            let read = read_long(flags, last, long, &mut rest)?;
            let is_last = read.0 == last;
            given.push(read);
            if is_last {
                break;
            }
        } else if argument.len() > 1 && argument.starts_with('-') {
            given.push(read_short(flags, &argument, &mut rest)?);
        } else {
            // kingpin reads a lone dash as an empty argument.
            return Err(stray(argument.trim_start_matches('-')));
        }
    }
    Ok(given)
}

/// Puts the lines of a file in front, without comments and empty ones.
fn insert_lines(path: &str, rest: &mut VecDeque<String>) -> Result<(), UsageError> {
    if path.is_empty() {
        return Err("expected @ file to expand arguments from".to_owned().into());
    }
    let text = std::fs::read(path).map_err(|error| {
        let error = SystemError(&error);
        format!("failed to open arguments file {path:?}: open {path}: {error}")
    })?;
    let text = String::from_utf8_lossy(&text);
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    for line in lines.rev() {
        rest.push_front(line.to_owned());
    }
    Ok(())
}

fn read_long(
    flags: &[Flag],
    last: &str,
    text: &str,
    rest: &mut VecDeque<String>,
) -> Result<(&'static str, String), UsageError> {
    let (name, attached) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let find = |name: &str| flags.iter().find(|flag| flag.name == name);
    let (flag, inverted) = match find(name) {
        Some(flag) => (Some(flag), false),
        None => (name.strip_prefix("no-").and_then(find), true),
    };
    let unknown = || unknown_flag(flags, name);
    let flag = flag.ok_or_else(unknown)?;
    let long = flag.name;
    if flag.takes == Takes::Nothing {
        return match attached {
            Some(value) if long != last => Err(UsageError {
                message: format!("unexpected {value}"),
                hint: Some(format!("--{long} takes no value; --no-{long} is its opposite")),
            }),
            _ => Ok((long, (!inverted).to_string())),
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
) -> Result<(&'static str, String), UsageError> {
    let mut letters = text.chars().skip(1);
    let letter = letters.next().unwrap_or('-');
    let attached: String = letters.collect();
    let flag = flags
        .iter()
        .find(|flag| flag.short == Some(letter))
        .ok_or_else(|| format!("unknown short flag '-{letter}'"))?;
    let long = flag.name;
    if flag.takes == Takes::Nothing {
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
    while let Some(path) = rest.front().and_then(|next| next.strip_prefix('@')) {
        let path = path.to_owned();
        rest.pop_front();
        insert_lines(&path, rest).ok()?;
    }
    if rest.front().is_some_and(|next| next == "--") {
        rest.pop_front();
        return rest.pop_front();
    }
    let next = rest.pop_front_if(|next| !next.starts_with('-') || next == "-")?;
    Some(if next == "-" { String::new() } else { next })
}

/// Something that is no flag.
fn stray(word: &str) -> UsageError {
    let known = did_you_mean(word, SUBCOMMANDS);
    let hint = match known {
        Some(meant) if meant == word => {
            format!("the command {meant} must come first, and has flags of its own")
        }
        Some(meant) => format!("did you mean the command {meant}?"),
        None if word.ends_with(".yml") || word.ends_with(".yaml") => {
            format!("a configuration is named with --config.file={word}")
        }
        None => format!("commands are {}", SUBCOMMANDS.join(", ")),
    };
    UsageError {
        message: format!("unexpected {word}"),
        hint: Some(hint),
    }
}

/// A flag that there is not.
fn unknown_flag(flags: &[Flag], name: &str) -> UsageError {
    let known = flags.iter().map(|flag| flag.name);
    let plain = name.strip_prefix("no-").unwrap_or(name);
    let hint = did_you_mean(plain, known).map(|meant| {
        if meant == plain {
            format!("--{meant} takes a value: it has no --no- form")
        } else {
            format!("did you mean --{meant}?")
        }
    });
    let message = format!("unknown long flag '--{name}'");
    UsageError { message, hint }
}
