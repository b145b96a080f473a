//! The help text in kingpin's layout, made of the one definition of the flags.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use super::flags::FLAGS;

/// Widest first column that still has its text beside it.
const COLUMN: usize = 30;

/// The whole help text for a terminal that is `width` characters wide.
pub fn render(command: &Command, width: usize) -> String {
    let rows: Vec<(String, String)> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .map(|arg| {
            (
                name_column(arg),
                arg.get_help().map(ToString::to_string).unwrap_or_default(),
            )
        })
        .collect();
    let column = rows
        .iter()
        .map(|(name, _)| name.len())
        .filter(|n| *n < COLUMN)
        .max()
        .unwrap_or(0);
    let indent = column + 4;
    // Writing to a string does not fail.
    let mut out = String::new();
    let program = command.get_name();
    let _ = writeln!(out, "usage: {program} [<flags>]");
    let subcommands: Vec<_> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
    if !subcommands.is_empty() {
        let _ = writeln!(out, "       {program} <command> [<args> ...]");
    }
    if let Some(about) = command.get_about() {
        let _ = writeln!(out, "\n{}", wrap(&about.to_string(), width).join("\n"));
    }
    out.push_str("\nFlags:\n");
    push_rows(&mut out, &rows, column, indent, width);
    if !subcommands.is_empty() {
        out.push_str("\nCommands:\n");
        let rows: Vec<(String, String)> = subcommands
            .iter()
            .map(|c| {
                (
                    c.get_name().to_owned(),
                    c.get_about().map(ToString::to_string).unwrap_or_default(),
                )
            })
            .collect();
        push_rows(&mut out, &rows, column, indent, width);
    }
    out
}

fn push_rows(out: &mut String, rows: &[(String, String)], column: usize, indent: usize, width: usize) {
    for (name, text) in rows {
        let _ = write!(out, "  {name:<column$}  ");
        if name.len() >= COLUMN {
            let _ = write!(out, "\n{:indent$}", "");
        }
        let lines = wrap(text, width.saturating_sub(indent));
        let separator = format!("\n{:indent$}", "");
        let _ = writeln!(out, "{}", lines.join(&separator));
    }
}

/// `    --[no-]config.check`, `    --history.limit=100`, `-h, --[no-]help`.
fn name_column(arg: &Arg) -> String {
    let mut name = arg
        .get_short()
        .map_or("    ".to_owned(), |short| format!("-{short}, "));
    let long = arg.get_long().unwrap_or_default();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        let _ = write!(name, "--[no-]{long}");
        return name;
    }
    let _ = write!(name, "--{long}=");
    let default = arg.get_default_values().first().and_then(|v| v.to_str());
    match (arg.get_value_names(), default) {
        (Some([placeholder, ..]), None) => drop(write!(name, "<{placeholder}>")),
        // kingpin quotes the defaults of plain texts, and only of them.
        (_, Some(text))
            if FLAGS
                .iter()
                .any(|flag| flag.name == long && (flag.is_text || long == "config.file")) =>
        {
            let _ = write!(name, "{text:?}");
        }
        (_, default) => name.push_str(default.unwrap_or_default()),
    }
    if matches!(arg.get_action(), ArgAction::Append) {
        name.push_str(" ...");
    }
    name
}

/// Words in lines of at most `width` characters, longer words in lines of their own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_stands_once_with_its_default() {
        let text = render(&super::super::command(), 80);
        for expected in [
            "  -h, --[no-]help ",
            "      --config.file=\"blackbox.yml\" ...  \n",
            "      --[no-]config.check ",
            "      --web.listen-address=:9115 ...  \n",
            "      --web.external-url=<url> ",
            "      --web.config.file=\"\" ",
            "      --history.limit=100 ",
        ] {
            assert_eq!(text.matches(expected).count(), 1, "{expected}\n{text}");
        }
        assert!(
            text.lines()
                .all(|line| line.len() <= 80 || line.contains("https://")),
            "{text}"
        );
    }
}
