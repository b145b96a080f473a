//! The `blackbox_exporter` program: parse flags, run, exit code.

use std::ffi::OsString;
use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;

use blackbox_exporter::cli::{self, Action, check_config, doctor, documents, migrate, probe};
use blackbox_exporter::memory::{self, Ways};
use blackbox_exporter::{app, version};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // compat: upstream takes any bytes.
    let arguments: Result<Vec<_>, _> = std::env::args_os().skip(1).map(OsString::into_string).collect();
    let arguments = arguments.map_err(|argument| format!("{argument:?} is not valid UTF-8").into());
    match arguments.and_then(|arguments| cli::parse(&arguments)) {
        Ok(Action::Run(flags)) => {
            use_one_heap();
            memory::give_back_with(Ways { collect, trim, unmap });
            app::run(*flags).unwrap_or_else(|error| fail(&format!("cannot start: {error}")))
        }
        Ok(Action::Help) => print(&cli::help(&cli::command(), cli::terminal_width())),
        Ok(Action::Version) => print(&version::print()),
        Ok(Action::Complete(words)) => print(&words.join("\n")),
        Ok(Action::Subcommand(name, arguments)) => match name.as_str() {
            probe::NAME => probe::run(&arguments),
            doctor::NAME => doctor::run(&arguments),
            check_config::NAME => check_config::run(&arguments),
            migrate::NAME => migrate::run(&arguments),
            _ => documents::run(&name, &arguments),
        },
        Err(refused) => {
            if let Some(hint) = &refused.hint {
                complain(hint);
            }
            fail(&format!("{}, try --help", refused.message))
        }
    }
}

/// Makes the allocator give back what the calling thread has left.
#[allow(unsafe_code)]
fn collect() {
    // SAFETY: it takes and returns nothing, works on the memory of the calling thread, and may be called at any time.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Makes the C library give back what aws-lc has left.
#[allow(unsafe_code)]
fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it gives back pages that nobody has allocated, and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has the C library allocate from one heap: of those that it makes for further threads it gives little back. Only aws-lc uses it.
#[allow(unsafe_code)]
fn use_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes two numbers, and there is no other thread yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives back pages that hold nothing but what is in their file.
#[allow(unsafe_code)]
fn unmap(pages: Range<usize>) {
    let start = std::ptr::with_exposed_provenance_mut(pages.start);
    // SAFETY: nothing was changed in these pages and nothing can be, so reading them finds in the file what was there before.
    unsafe { libc::madvise(start, pages.len(), libc::MADV_DONTNEED) };
}

fn print(text: &str) -> ExitCode {
    cli::print(text).map_or_else(|error| fail(&error), |_| ExitCode::SUCCESS)
}

/// A reason on standard error, in kingpin's form.
fn fail(message: &str) -> ExitCode {
    complain(&format!("error: {message}"));
    ExitCode::FAILURE
}

fn complain(message: &str) {
    let program = std::env::args_os().next().unwrap_or_default();
    let program = program.to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default();
    // Without standard error nobody can be told.
    let _ = writeln!(std::io::stderr(), "{program}: {message}");
}
