//! What is wrong with a configuration file, and where.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

use go_yaml::Position;

use super::confidential::masked;
use crate::display::is_active;
use crate::os_error;

/// One thing that is wrong, or that deserves a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, of a warning about one of several.
    pub file: Option<String>,
    /// Where it stands; `None` when it concerns the file as a whole.
    pub at: Option<Position>,
    /// The module, if it is in one.
    pub module: Option<String>,
    /// Where in the module (or, outside of modules, in the file): `http.fail_if_body_matches_regexp[0]`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Problem {
    /// What concerns a place, or without one the file as a whole.
    pub fn new(at: Option<Position>, message: impl Into<String>) -> Self {
        Self {
            file: None,
            at,
            module: None,
            path: String::new(),
            message: message.into(),
            help: None,
        }
    }

    /// With what would be right.
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "line {}, column {}: ", at.line, at.column)?;
        }
        if let Some(module) = &self.module {
            write!(f, "module {module:?}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

/// Why a configuration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("failed to generate initial checksum for configuration file: error reading YAML file: {}", os_error::describe_file(Path::new(.file), .source))]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The file was read and is wrong.
    #[error("{0}")]
    Invalid(Invalid),
    /// Of several files, these are wrong; at least one.
    #[error("{}", .0.iter().map(|invalid| format!("{}: {invalid}", invalid.file)).collect::<Vec<_>>().join("\n"))]
    Several(Vec<Invalid>),
    /// The targets file could not be read, or is wrong.
    #[error(transparent)]
    Targets(TargetsError),
}

/// Why a targets file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TargetsError {
    /// It could not be read.
    #[error("error reading targets file: {}", os_error::describe_file(.file, .source))]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was read and is wrong.
    #[error("error parsing targets file: {}: {}", .file.display(), listed(.problems))]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What is wrong, in the order of the text; never empty.
        problems: Vec<Problem>,
    },
}

/// Everything that is wrong with one file.
pub struct Invalid {
    /// The file's name.
    pub file: String,
    /// Its text, for [`Invalid::quoted`].
    pub text: String,
    /// What is wrong, in the order of the text; never empty.
    pub problems: Vec<Problem>,
}

/// Without the text, which holds secrets.
impl fmt::Debug for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invalid")
            .field("file", &self.file)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

impl LoadError {
    /// The file could not be read.
    pub fn unreadable(file: &Path, source: io::Error) -> Self {
        Self::Unreadable {
            file: file.display().to_string(),
            source,
        }
    }

    /// One line, with the name of the file: for logs.
    pub fn one_line(&self) -> String {
        match self {
            Self::Invalid(invalid) => invalid.one_line(),
            Self::Several(all) => all.iter().map(Invalid::one_line).collect::<Vec<_>>().join(" | "),
            other => other.to_string(),
        }
    }

    /// The long form for people: each problem with the line it stands on and a caret under its place.
    pub fn quoted(&self) -> String {
        match self {
            Self::Unreadable { .. } | Self::Targets(_) => format!("error: {self}\n"),
            Self::Invalid(invalid) => invalid.quoted(),
            Self::Several(all) => all.iter().map(Invalid::quoted).collect(),
        }
    }
}

/// The short form for logs and HTTP answers: `error parsing config file: …`, one line per problem.
impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error parsing config file: {}", listed(&self.problems))
    }
}

/// The only problem, or how many there are and one line for each.
fn listed(problems: &[Problem]) -> String {
    match problems {
        [only] => only.to_string(),
        all => format!("{} errors:\n  {}", all.len(), lines(all).join("\n  ")),
    }
}

/// Most problems of a file that are told.
pub const TOLD: usize = 50;

/// A line for each problem that is told, and one for the others.
fn lines(problems: &[Problem]) -> Vec<String> {
    let told = problems.iter().take(TOLD).map(Problem::to_string);
    told.chain(untold(problems)).collect()
}

/// How many problems are not told, if there are any.
fn untold(problems: &[Problem]) -> Option<String> {
    let more = problems.len().saturating_sub(TOLD);
    (more > 0).then(|| format!("and {more} more"))
}

impl Invalid {
    fn one_line(&self) -> String {
        let count = match self.problems.len() {
            1 => String::new(),
            several => format!("{several} errors: "),
        };
        let text = lines(&self.problems).join(" | ").replace(['\n', '\r'], " ");
        format!("error parsing config file: {}: {count}{text}", self.file)
    }

    /// See [`LoadError::quoted`].
    pub fn quoted(&self) -> String {
        let mut out = String::new();
        quote(&mut out, "error", &self.file, &self.text, &self.problems);
        out
    }
}

/// Appends problems, each with the line it stands on, its secrets masked, and a caret under its place.
pub fn quote(out: &mut String, kind: &str, file: &str, text: &str, problems: &[Problem]) {
    for problem in problems.iter().take(TOLD) {
        quote_one(out, kind, file, text, problem);
    }
    if let Some(more) = untold(problems) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{kind}: {more}\n --> {file}\n");
    }
}

fn quote_one(out: &mut String, kind: &str, file: &str, text: &str, problem: &Problem) {
    let place = Problem {
        at: None,
        help: None,
        ..problem.clone()
    };
    let _ = writeln!(out, "{kind}: {}", printable(&place.to_string()));
    if let Some(at) = problem.at {
        let number = at.line.to_string();
        let margin = " ".repeat(number.len());
        let line = masked(text, at.line);
        // What the place was in may be masked.
        let column = at.column.saturating_sub(1).min(line.chars().count());
        let (line, column) = window(&line, column);
        let _ = writeln!(out, "{margin}--> {file}:{at}");
        let _ = writeln!(out, "{margin} |");
        let _ = writeln!(out, "{number} | {line}");
        let _ = writeln!(out, "{margin} | {}^", " ".repeat(column));
    } else {
        let _ = writeln!(out, " --> {file}");
    }
    if let Some(help) = &problem.help {
        let _ = writeln!(out, "  = help: {}", printable(help));
    }
    out.push('\n');
}

/// Most characters of a line that are quoted.
const WIDTH: usize = 100;

/// The part of a line around a column, safe for a terminal, and where the column is in it.
fn window(line: &str, column: usize) -> (String, usize) {
    let skipped = if column < WIDTH - 20 {
        0
    } else {
        column - WIDTH / 2
    };
    let shown: String = line.chars().skip(skipped).take(WIDTH).collect();
    let more = line.chars().nth(skipped + WIDTH).is_some();
    let (head, tail) = (if skipped > 0 { "…" } else { "" }, if more { "…" } else { "" });
    (
        format!("{head}{}{tail}", printable(&shown)),
        column - skipped + usize::from(skipped > 0),
    )
}

/// Characters on which a terminal acts as one blank each.
fn printable(text: &str) -> String {
    text.chars().map(|c| if is_active(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let problem = Problem {
            file: None,
            at: Some(Position { line: 2, column: 3 }),
            module: Some("m".into()),
            path: "http.verb".into(),
            message: "unknown field".into(),
            help: Some("did you mean method?".into()),
        };
        let mut out = String::new();
        quote(
            &mut out,
            "error",
            "f.yml",
            "a:\n  verb: \x1b[31mGET\n",
            &[problem],
        );
        let expected = "error: module \"m\": http.verb: unknown field\n --> f.yml:2:3\n  |\n2 |   verb:  [31mGET\n  |   ^\n  = help: did you mean method?\n\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let (shown, column) = window(&"x".repeat(5000), 3000);
        assert_eq!(shown.chars().count(), WIDTH + 2);
        assert_eq!(column, WIDTH / 2 + 1);
    }
}
