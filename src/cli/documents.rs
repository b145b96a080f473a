//! The subcommands `man` and `completions`: what is made of the definition of the flags, for packagers and shells.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Arg, Command};
use clap_complete::Shell;

use super::subcommand_arguments;

/// The name of the subcommand that prints the man page.
pub const MAN: &str = "man";
/// The name of the subcommand that prints completions.
pub const COMPLETIONS: &str = "completions";

/// The definitions of the subcommands.
pub fn commands() -> [Command; 2] {
    [
        Command::new(MAN).about("Print the man page (section 1)."),
        Command::new(COMPLETIONS)
            .about("Print completions for a shell.")
            .arg(
                Arg::new("shell")
                    .required(true)
                    .value_name("SHELL")
                    .value_parser(clap::value_parser!(Shell))
                    .help("The shell."),
            ),
    ]
}

/// Runs one of the subcommands with the arguments after its name.
pub fn run(name: &str, arguments: &[String]) -> ExitCode {
    let [man, completions] = commands();
    let command = if name == MAN { man } else { completions };
    let matches = match subcommand_arguments(command, arguments) {
        Ok(matches) => matches,
        Err(status) => return status,
    };
    let shell = (name == COMPLETIONS)
        .then(|| matches.get_one::<Shell>("shell").copied())
        .flatten();
    let mut text = Vec::new();
    let made = match shell {
        Some(shell) => {
            let mut command = super::command();
            clap_complete::generate(shell, &mut command, "blackbox_exporter", &mut text);
            Ok(())
        }
        None => man_page(&mut text),
    };
    // A closed pipe is the reader's choice.
    match made.and_then(|()| io::stdout().write_all(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn man_page(out: &mut Vec<u8>) -> io::Result<()> {
    clap_mangen::Man::new(super::command()).render(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_man_page_names_every_flag() {
        let mut page = Vec::new();
        man_page(&mut page).unwrap();
        // roff escapes hyphens.
        let page = String::from_utf8(page).unwrap().replace("\\-", "-");
        for flag in super::super::command().get_arguments() {
            let long = flag.get_long().unwrap();
            assert!(page.contains(&format!("--{long}")), "{long}");
        }
        assert!(
            page.starts_with(".ie") || page.contains(".TH blackbox_exporter 1"),
            "{page}"
        );
    }

    #[test]
    fn every_shell_gets_completions() {
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::Elvish,
            Shell::PowerShell,
        ] {
            let mut text = Vec::new();
            clap_complete::generate(
                shell,
                &mut super::super::command(),
                "blackbox_exporter",
                &mut text,
            );
            let text = String::from_utf8(text).unwrap();
            assert!(
                text.contains("web.listen-address") && text.contains("check-config"),
                "{shell}"
            );
        }
    }
}
