//! The documents: generated pages are up to date, links lead somewhere, and the book has every page.
//! `UPDATE_DOCS=1 cargo test --test pipeline generated` writes the generated pages.

use std::{collections::BTreeSet, env, fmt::Write, fs};

use blackbox_exporter::{
    cli,
    config::{self, Prober},
    metrics::{
        Metric,
        own::{Family, Own, Shown},
    },
};

use crate::support::{read, repository};

/// Compares a page with what it should be, or writes it.
fn generated(path: &str, text: &str) {
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(repository(path), text).unwrap();
    }
    let command = "UPDATE_DOCS=1 cargo test --test pipeline generated";
    assert!(read(path) == text, "{path} is not up to date: {command}");
}

/// A text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

#[test]
fn generated_page_of_the_metrics() {
    let mut page = "# Metrics\n\n<!-- Generated: UPDATE_DOCS=1 cargo test --test pipeline generated -->\n\n\
        ## Metrics of a probe\n\nThe response of `/probe`. All are gauges. The scraper adds `up` and its own families. Names and HELP texts are upstream's;\n\
        families that only a setting turns on are described in [configuration](configuration.md).\n\n| metric | labels | probers | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for metric in Metric::ALL {
        let family = metric.family();
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let probers: Vec<_> = family.probers.iter().map(|prober| prober.name()).collect();
        let probers = match probers.len() {
            0 => "all".to_owned(),
            all if all == Prober::ALL.len() => "all".to_owned(),
            _ => probers.join(", "),
        };
        let help = cell(family.help);
        writeln!(
            page,
            "| `{}` | {} | {probers} | {help} |",
            family.name,
            labels.join(", ")
        )
        .unwrap();
    }
    page.push_str(
        "\n## Metrics of the exporter\n\nThe response of `/metrics`. Those that are not upstream's appear with the first probe, and where they can be measured.\n\n\
         | metric | type | from | meaning |\n|---|---|---|---|\n",
    );
    for own in Own::ALL {
        let Family {
            name,
            help,
            kind,
            shown,
        } = own.family();
        let kind = format!("{kind:?}").to_lowercase();
        let from = match shown {
            Shown::Always => "the start",
            Shown::OnceProbed => "the first probe",
        };
        writeln!(page, "| `{name}` | {kind} | {from} | {} |", cell(help)).unwrap();
    }
    generated("docs/metrics.md", &page);
}

#[test]
fn generated_page_of_the_flags() {
    let mut page = "# Flags\n\n<!-- Generated: UPDATE_DOCS=1 cargo test --test pipeline generated -->\n\n\
        `blackbox_exporter [FLAGS]` starts the exporter. Switches have a negative form (`--no-config.check`).\n\n| flag | default | meaning |\n|---|---|---|\n"
        .to_owned();
    let command = cli::command();
    let row = |page: &mut String, argument: &clap::Arg| {
        let Some(name) = argument.get_long() else { return };
        let default: Vec<_> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        let default = match default.join(" ") {
            empty if empty.is_empty() => String::new(),
            value => format!("`{value}`"),
        };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(page, "| `--{name}` | {} | {} |", cell(&default), cell(&help)).unwrap();
    };
    for argument in command.get_arguments() {
        row(&mut page, argument);
    }
    for subcommand in command.get_subcommands() {
        let about = subcommand
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        let positional: Vec<_> = subcommand
            .get_positionals()
            .map(|argument| {
                argument
                    .get_value_names()
                    .map_or_else(String::new, |names| names.join(" "))
            })
            .collect();
        let name = subcommand.get_name();
        writeln!(
            page,
            "\n## {name}\n\n`blackbox_exporter {name} {}`: {about}\n",
            positional.join(" ")
        )
        .unwrap();
        if subcommand.get_opts().next().is_some() {
            page.push_str("| flag | default | meaning |\n|---|---|---|\n");
        }
        for argument in subcommand.get_opts() {
            row(&mut page, argument);
        }
    }
    generated("docs/flags.md", &page);
}

/// The documents, as paths from the root.
fn documents() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs/", "examples/"] {
        for entry in fs::read_dir(repository(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                found.push(format!("{folder}{name}"));
            }
        }
    }
    found
}

/// The anchors of a page, as forges and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        let folder = repository(&document).parent().unwrap().to_owned();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once(')')?.0))
        {
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                repository(&document)
            } else {
                folder.join(path)
            };
            let found = match target.exists() {
                true if anchor.is_empty() => true,
                true => anchors(&fs::read_to_string(&target).unwrap()).contains(anchor),
                false => false,
            };
            if !found {
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_difference_names_a_file_that_exists() {
    let page = read("docs/differences.md");
    let missing: Vec<_> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| {
            ["tests/", "src/", "crates/"]
                .iter()
                .any(|folder| code.starts_with(folder))
        })
        .filter(|path| !repository(path).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_book_has_every_page() {
    let summary = read("docs/SUMMARY.md");
    for entry in fs::read_dir(repository("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") && name != "SUMMARY.md" {
            assert!(
                summary.contains(&format!("({name})")),
                "docs/SUMMARY.md has no {name}"
            );
        }
    }
}

#[test]
fn modules_of_the_documents_load() {
    let mut count = 0;
    for document in documents() {
        for block in read(&document).split("```yaml\nmodules:").skip(1) {
            let (block, _) = block.split_once("```").unwrap();
            let text = format!("modules:{block}");
            let parsed = config::parse(&text);
            assert!(
                parsed.problems.is_empty(),
                "{document}: {text}{:?}",
                parsed.problems
            );
            count += 1;
        }
    }
    assert!(count >= 9, "only {count} blocks of modules were found");
}
