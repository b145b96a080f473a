//! kingpin's reading of a command line: which flags were given, with which text, in their order.

use std::collections::VecDeque;

use clap::{Arg, ArgAction, Command};

/// Reads long and short flags; nothing else may stand on the command line.
///
/// # Errors
/// An unknown flag, a flag without its value, or anything that is no flag.
pub fn read<'c>(command: &'c Command, arguments: &[String]) -> Result<Vec<(&'c str, String)>, String> {
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
            given.push(read_long(command, long, &mut rest)?);
        } else if argument.len() > 1 && argument.starts_with('-') {
            given.push(read_short(command, &argument, &mut rest)?);
        } else {
            // kingpin reads a lone dash as an empty argument.
            return Err(format!("unexpected {}", argument.trim_start_matches('-')));
        }
    }
    Ok(given)
}

fn read_long<'c>(
    command: &'c Command,
    text: &str,
    rest: &mut VecDeque<String>,
) -> Result<(&'c str, String), String> {
    let (name, attached) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let find = |name: &str| command.get_arguments().find(|arg| arg.get_long() == Some(name));
    let (arg, inverted) = match find(name) {
        Some(arg) => (Some(arg), false),
        None => (name.strip_prefix("no-").and_then(find), true),
    };
    let unknown = || format!("unknown long flag '--{name}'");
    let arg = arg.ok_or_else(unknown)?;
    if is_switch(arg) {
        return match attached {
            Some(value) => Err(format!("unexpected {value}")),
            None => Ok((arg.get_id().as_str(), (!inverted).to_string())),
        };
    }
    if inverted {
        return Err(unknown());
    }
    let value = match attached {
        Some(value) => value,
        None => next_value(rest).ok_or_else(|| format!("expected argument for flag '--{name}'"))?,
    };
    Ok((arg.get_id().as_str(), value))
}

fn read_short<'c>(
    command: &'c Command,
    text: &str,
    rest: &mut VecDeque<String>,
) -> Result<(&'c str, String), String> {
    let mut letters = text.chars().skip(1);
    let letter = letters.next().unwrap_or('-');
    let attached: String = letters.collect();
    let arg = command
        .get_arguments()
        .find(|arg| arg.get_short() == Some(letter))
        .ok_or_else(|| format!("unknown short flag '-{letter}'"))?;
    if is_switch(arg) {
        if !attached.is_empty() {
            rest.push_front(format!("-{attached}"));
        }
        return Ok((arg.get_id().as_str(), "true".to_owned()));
    }
    let value = if attached.is_empty() {
        next_value(rest).ok_or_else(|| format!("expected argument for flag '-{letter}'"))?
    } else {
        attached
    };
    Ok((arg.get_id().as_str(), value))
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

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}
