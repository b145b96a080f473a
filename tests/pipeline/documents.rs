//! The documents: generated pages are up to date, links lead somewhere, and the book has every page.
//! `UPDATE_DOCS=1 cargo test --test pipeline generated` writes the generated pages.

use std::{collections::BTreeSet, env, fmt::Write, fs};

use blackbox_exporter::{
    check::Regexp,
    cli,
    config::{self, Prober, files::web::Web},
    metrics::{
        Metric, Since,
        own::{Own, OwnFamily, Shown},
    },
};

use crate::{
    support::{read, repository},
    units::unit,
};

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

/// The extensions that turn metrics on, from the table of `docs/extensions.md`: patterns of names, and the link to the extension.
fn extensions() -> Vec<(Regexp, String)> {
    let page = read("docs/extensions.md");
    let mut found = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| [")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [name, _, _, metrics] = cells.as_slice() else {
            continue;
        };
        let link = name.trim_start_matches("| ").replace("](#", "](extensions.md#");
        // What follows are upstream's metrics, which further probers get.
        let (metrics, _) = metrics.split_once(';').unwrap_or((metrics, ""));
        for pattern in metrics.split('`').skip(1).step_by(2) {
            // Braces are labels, or alternatives behind an underscore.
            let pattern = match pattern.split_once('{') {
                Some((stem, rest)) if stem.ends_with('_') => {
                    format!("{stem}({})", rest.trim_end_matches('}').replace(',', "|"))
                }
                Some((stem, _)) => stem.to_owned(),
                None => pattern.to_owned(),
            };
            let pattern = format!("^{}$", pattern.replace('*', ".*"));
            found.push((Regexp::new(&pattern).unwrap(), link.clone()));
        }
    }
    found
}

/// Label names as they stand behind a metric's.
fn braced(labels: &[&str]) -> String {
    match labels {
        [] => String::new(),
        labels => format!("{{{}}}", labels.join(",")),
    }
}

#[test]
fn generated_page_of_the_metrics() {
    let mut page = "# Metrics\n\n<!-- Generated: UPDATE_DOCS=1 cargo test --test pipeline generated -->\n\n\
        ## Metrics of a probe\n\nThe response of `/probe`. All are gauges. The scraper adds `up` and its own families. Names and HELP texts are upstream's;\n\
        those with an entry under *turned on by* exist only here. `check_revoked` turns on `probe_ssl_crl_*`, as in upstream.\n\n\
        *since* is the version of this exporter, or of upstream, that brought the metric.\n\n\
        | metric and labels | unit | probers | turned on by | since | meaning |\n|---|---|---|---|---|---|\n"
        .to_owned();
    let extensions = extensions();
    let mut used = BTreeSet::new();
    for metric in Metric::ALL {
        let family = metric.family();
        let labels = braced(family.labels);
        let probers: Vec<_> = family.probers.iter().map(|prober| prober.name()).collect();
        let probers = match probers.len() {
            0 => "all".to_owned(),
            all if all == Prober::ALL.len() => "all".to_owned(),
            _ => probers.join(", "),
        };
        let help = cell(family.help);
        let by: Vec<&str> = extensions
            .iter()
            .filter(|(names, _)| names.is_match(family.name.as_bytes()))
            .map(|(names, link)| {
                used.insert(names.source());
                link.as_str()
            })
            .collect();
        // Only what upstream lacks needs to be turned on by a setting of ours.
        let ours = matches!(family.since, Since::Here(_));
        assert_eq!(
            ours,
            !by.is_empty(),
            "{}: since, and docs/extensions.md",
            family.name
        );
        writeln!(
            page,
            "| `{}{labels}` | {} | {probers} | {} | {} | {help} |",
            family.name,
            unit(family.name).expect(family.name),
            by.join(", "),
            family.since,
        )
        .unwrap();
    }
    for (names, link) in &extensions {
        let source = names.source();
        assert!(
            used.contains(source) || source.starts_with("^blackbox_exporter_"),
            "{link}: no metric is {source}"
        );
    }
    page.push_str(
        "\n## Metrics of the exporter\n\nThe response of `/metrics`. Most of those that are not upstream's appear with the first probe, and where they can be measured.\n\n\
         | metric and labels | type | unit | shown from | since | meaning |\n|---|---|---|---|---|---|\n",
    );
    for own in Own::ALL {
        let OwnFamily {
            name,
            help,
            labels,
            kind,
            shown,
            since,
        } = own.family();
        let kind = format!("{kind:?}").to_lowercase();
        let from = match shown {
            Shown::Always => "the start",
            Shown::OnceProbed => "the first probe",
        };
        assert!(
            *shown == Shown::Always || !matches!(since, Since::Upstream(_)),
            "{name}"
        );
        let unit = unit(name).expect(name);
        writeln!(
            page,
            "| `{name}{}` | {kind} | {unit} | {from} | {since} | {} |",
            braced(labels),
            cell(help)
        )
        .unwrap();
    }
    generated("docs/metrics.md", &page);
}

#[test]
fn versions_that_brought_a_metric_are_in_the_change_log() {
    let log = read("CHANGELOG.md");
    let (_, after) = log.split_once("## [Unreleased]\n").unwrap();
    let (unreleased, _) = after.split_once("\n## [").unwrap();
    let all = Metric::ALL.iter().map(|metric| metric.family().since);
    for since in all.chain(Own::ALL.iter().map(|own| own.family().since)) {
        match since {
            Since::Here("unreleased") => assert!(
                !unreleased.trim().is_empty(),
                "a release replaces `unreleased` in src/metrics by its version"
            ),
            Since::Here(version) => assert!(log.contains(&format!("\n## [{version}] - ")), "{version}"),
            Since::Upstream(version) => assert_eq!(version.split('.').count(), 3, "{version}"),
        }
    }
}

#[test]
fn generated_page_of_the_flags() {
    let mut page = "# Flags\n\n<!-- Generated: UPDATE_DOCS=1 cargo test --test pipeline generated -->\n\n\
        `blackbox_exporter [FLAGS]` starts the exporter. Switches have a negative form (`--no-config.check`).\n\n| flag | default | meaning |\n|---|---|---|\n"
        .to_owned();
    let command = cli::command();
    // A flag of the exporter itself has them in its help.
    let choices = |argument: &clap::Arg| {
        let values: Vec<_> = match argument.get_action().takes_values() {
            true => argument.get_possible_values(),
            false => Vec::new(),
        };
        let names: Vec<_> = values
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        match names.as_slice() {
            [] => String::new(),
            names => format!(" One of: {}.", names.join(", ")),
        }
    };
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
        let short = argument
            .get_short()
            .map_or_else(String::new, |short| format!("`-{short}`, "));
        let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        if !help.contains("One of") {
            help.push_str(&choices(argument));
        }
        writeln!(
            page,
            "| {short}`--{name}` | {} | {} |",
            cell(&default),
            cell(&help)
        )
        .unwrap();
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
            "\n## {name}\n\n`blackbox_exporter {name} {}`: {about}{}\n",
            positional.join(" "),
            subcommand.get_positionals().map(choices).collect::<String>()
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
fn the_web_configuration_of_the_documents_loads() {
    let page = read("docs/web-configuration.md");
    let (_, block) = page.split_once("```yaml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let web = Web::parse(block).unwrap();
    assert_eq!((web.users.len(), web.tls.cert_file.as_str()), (1, "server.pem"));
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

/// The words of a command, as a shell reads them, up to what belongs to the shell.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in command.chars() {
        match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.extend(word.take()),
            ('#' | ';' | '&' | '|' | '>' | '<', None) if word.is_none() => break,
            (';', None) => break,
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Commands in blocks for a shell, and in the text where they have arguments.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, part) in text.split("```").enumerate() {
        if part.starts_with("sh\n") {
            found.extend(part.replace("\\\n", " ").lines().map(str::to_owned));
        } else if number % 2 == 0 {
            found.extend(part.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
        .iter()
        .filter_map(|line| {
            let line = line.strip_prefix("target/release/").unwrap_or(line);
            line.strip_prefix("blackbox_exporter ")
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn commands_of_the_documents_are_known_to_the_program() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for document in documents() {
        // The one with the definitions.
        if document == "docs/flags.md" {
            continue;
        }
        for command in commands(&read(&document)) {
            let words = words(&command.replace("SHELL", "bash"));
            let known = match words.as_slice() {
                [] => continue,
                // The name alone, in a sentence about it.
                [name] if !name.starts_with('-') => cli::command().find_subcommand(name).is_some(),
                // Several configurations must exist, and these are on the user's machine.
                [first, ..] if first.starts_with('-') => match cli::parse(&words) {
                    Ok(_) => true,
                    Err(refused) => refused.message == "flag 'config.file' cannot be repeated",
                },
                _ => {
                    let line = std::iter::once("blackbox_exporter").chain(words.iter().map(String::as_str));
                    let known = |line| cli::command().try_get_matches_from(line).is_ok();
                    // A sentence may name a flag without its value.
                    known(line.clone().collect::<Vec<_>>()) || known(line.chain(["NAME=VALUE"]).collect())
                }
            };
            if !known {
                wrong.push(format!("{document}: blackbox_exporter {command}"));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 40, "only {count} commands were found");
}
