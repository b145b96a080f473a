//! The subcommands `man` and `completions`: what is made of the definition of the flags, for packagers and shells.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, ValueHint};
use clap_complete::Shell;

use super::{print, subcommand};
use crate::config::Config;
use crate::config::files::targets::Targets;

/// The name of the subcommand that prints the man page.
pub const MAN: &str = "man";
/// The name of the subcommand that prints completions.
pub const COMPLETIONS: &str = "completions";
/// The name of the subcommand that prints JSON Schemas.
pub const SCHEMA: &str = "schema";

#[derive(Debug, Args)]
struct Man {
    /// The command.
    #[arg(value_name = "COMMAND", value_parser = super::SUBCOMMANDS, verbatim_doc_comment)]
    command: Option<String>,
    /// Write the pages of the program and of all commands into this folder.
    #[arg(
        long,
        value_name = "DIRECTORY",
        value_hint = ValueHint::DirPath,
        conflicts_with = "command",
        verbatim_doc_comment
    )]
    directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL", verbatim_doc_comment)]
    shell: Shell,
}

#[derive(Debug, Args)]
struct Schema {
    /// The file that the schema describes.
    #[arg(value_name = "FILE", default_value = "config", value_parser = ["config", "targets"], verbatim_doc_comment)]
    file: String,
}

/// The definitions of the subcommands.
pub fn commands() -> [Command; 3] {
    [
        Man::augment_args(Command::new(MAN))
            .about("Print the man page of the program (section 1) or of a command."),
        Completions::augment_args(Command::new(COMPLETIONS)).about("Print shell completions."),
        Schema::augment_args(Command::new(SCHEMA))
            .about("Print the JSON Schema of the configuration file, for editors."),
    ]
}

/// Runs one of the subcommands with the arguments after its name.
pub fn run(name: &str, arguments: &[String]) -> ExitCode {
    let [man, completions, schema] = commands();
    match name {
        MAN => subcommand(man, arguments, print_man),
        SCHEMA => subcommand(schema, arguments, print_schema),
        _ => subcommand(completions, arguments, print_completions),
    }
}

fn print_completions(arguments: &Completions) -> Result<bool, String> {
    let mut text = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut super::command(),
        "blackbox_exporter",
        &mut text,
    );
    print(text).map(|_| true)
}

fn print_schema(arguments: &Schema) -> Result<bool, String> {
    let schema = match arguments.file.as_str() {
        "targets" => Targets::json_schema(),
        _ => Config::json_schema(),
    };
    let mut text = serde_json::to_vec_pretty(&schema).map_err(|error| error.to_string())?;
    text.push(b'\n');
    print(text).map(|_| true)
}

fn print_man(arguments: &Man) -> Result<bool, String> {
    let mut text = Vec::new();
    let made = match (&arguments.directory, &arguments.command) {
        (Some(folder), _) => write_pages(folder),
        (None, Some(name)) => page_of(name, &mut text),
        (None, None) => man_page(&mut text),
    };
    made.map_err(|error| error.to_string())?;
    print(text).map(|_| true)
}

/// Writes `blackbox_exporter.1` and a page per command.
fn write_pages(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut page = Vec::new();
    man_page(&mut page)?;
    std::fs::write(folder.join("blackbox_exporter.1"), &page)?;
    for name in super::SUBCOMMANDS {
        page.clear();
        page_of(name, &mut page)?;
        std::fs::write(folder.join(format!("blackbox_exporter-{name}.1")), &page)?;
    }
    Ok(())
}

/// The page of a command.
fn page_of(name: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let whole = super::command();
    let command = whole.find_subcommand(name).cloned();
    let command = command.ok_or_else(|| io::Error::other(format!("there is no command {name}")))?;
    // clap keeps names for as long as the program runs.
    let title: &'static str = match name {
        super::probe::NAME => "blackbox_exporter-probe",
        super::doctor::NAME => "blackbox_exporter-doctor",
        super::check_config::NAME => "blackbox_exporter-check-config",
        super::migrate::NAME => "blackbox_exporter-migrate",
        COMPLETIONS => "blackbox_exporter-completions",
        SCHEMA => "blackbox_exporter-schema",
        _ => "blackbox_exporter-man",
    };
    let command = command.name(title).bin_name(format!("blackbox_exporter {name}"));
    clap_mangen::Man::new(command).render(out)?;
    out.extend_from_slice(SUBCOMMAND_END.as_bytes());
    Ok(())
}

fn man_page(out: &mut Vec<u8>) -> io::Result<()> {
    clap_mangen::Man::new(super::command()).render(out)?;
    out.extend_from_slice(END.as_bytes());
    Ok(())
}

/// What the definition of the flags does not say.
const END: &str = r#".SH EXAMPLES
.TP
Serve the probes of a configuration:
.B blackbox_exporter \-\-config.file=/etc/blackbox_exporter/config.yml
.TP
Show every mistake in it:
.B blackbox_exporter check\-config /etc/blackbox_exporter/config.yml
.TP
Run one probe now:
.B blackbox_exporter probe \-\-module http_2xx https://prometheus.io
.TP
Watch the targets of a file until q is pressed:
.B blackbox_exporter probe \-\-watch \-\-targets targets.yml
.TP
Find out what a target speaks, and write a module for it:
.B blackbox_exporter doctor https://prometheus.io
.TP
Read the configuration again:
.B kill \-HUP \fIPID\fR
.SH FILES
.TP
.I blackbox.yml
The configuration, in the working folder, when \fB\-\-config.file\fR is not given. Without the file the program starts with built\-in modules.
.TP
.I /etc/blackbox_exporter/config.yml
The configuration in the image and the packages.
.TP
.I /etc/hosts, /etc/resolv.conf, /etc/nsswitch.conf
How names of targets are looked up. They are read again when they change.
.TP
.I /etc/ssl/certs
The CA certificates of the system.
.SH SIGNALS
.TP
.B SIGHUP
Read the configuration and the targets file again.
.TP
.B SIGTERM, SIGINT
Accept nothing more, let running probes end, and exit.
.SH "EXIT STATUS"
.TP
.B 0
The program was stopped by a signal, or the configuration is valid (\fB\-\-config.check\fR).
.TP
.B 1
A flag or the configuration is wrong, or a port cannot be opened.
.SH "SEE ALSO"
.BR blackbox_exporter\-probe (1),
.BR blackbox_exporter\-check\-config (1),
.BR blackbox_exporter\-migrate (1),
.BR blackbox_exporter\-man (1),
.BR blackbox_exporter\-completions (1),
.BR blackbox_exporter\-schema (1),
.BR prometheus (1)
"#;

/// What the definitions of the commands do not say.
const SUBCOMMAND_END: &str = r#".SH "EXIT STATUS"
.TP
.B 0
Everything succeeded.
.TP
.B 1
A probe failed, a file is wrong, or something was not carried over.
.TP
.B 2
The command line is wrong.
.SH "SEE ALSO"
.BR blackbox_exporter (1)
"#;

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
    fn every_page_that_is_named_is_there() {
        let folder = tempfile::tempdir().unwrap();
        write_pages(folder.path()).unwrap();
        let main = std::fs::read_to_string(folder.path().join("blackbox_exporter.1")).unwrap();
        let main = main.replace("\\-", "-");
        for section in ["EXAMPLES", "FILES", "EXIT STATUS", "SEE ALSO"] {
            assert!(main.contains(section), "{section}");
        }
        for word in main
            .split([' ', '\n', ','])
            .filter(|word| word.starts_with("blackbox_exporter-"))
        {
            let page = folder.path().join(format!("{}.1", word.trim_end_matches("(1)")));
            assert!(page.exists(), "{word}");
        }
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
