use super::*;
use crate::probe_log::Level;

fn parsed(arguments: &[&str]) -> Result<Action, UsageError> {
    parse(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
}

fn run(arguments: &[&str]) -> Flags {
    match parsed(arguments) {
        Ok(Action::Run(flags)) => *flags,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    command().debug_assert();
}

#[test]
fn every_command_is_known() {
    let command = command();
    let subcommands: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    assert_eq!(subcommands, SUBCOMMANDS);
}

#[test]
fn defaults_are_what_the_help_says() {
    let flags = run(&[]);
    assert_eq!((flags.config_files.len(), flags.timeout_offset), (0, 0.5));
    assert_eq!(flags.auto_reload_interval.as_secs(), 30);
    assert_eq!(flags.listen_addresses, [":9115"]);
    assert_eq!((flags.history_limit, flags.history_max_bytes), (100, 64 << 20));
    assert_eq!(
        (flags.log_prober.as_str(), flags.log_level),
        ("info", Level::Info)
    );
}

#[test]
fn hints_name_what_was_meant() {
    for (arguments, hint) in [
        (&["--config.fil=x"] as &[_], "did you mean --config.file?"),
        (&["--config-file=x"], "did you mean --config.file?"),
        (
            &["--no-config.file"],
            "--config.file takes a value: it has no --no- form",
        ),
        (&["prob", "x"], "did you mean the command probe?"),
        (
            &["--config.check", "probe"],
            "the command probe must come first, and has flags of its own",
        ),
        (&["my.yml"], "a configuration is named with --config.file=my.yml"),
        (
            &["--config.auto-reload-interval=30s"],
            "--config.auto-reload-interval takes a whole number without a unit; the default is 30",
        ),
        (
            &["--timeout-offset=x"],
            "--timeout-offset takes a number without a unit, like 0.5",
        ),
        (
            &["--log.level=loud"],
            "--log.level takes one of debug, info, warn, error",
        ),
    ] {
        assert_eq!(
            parsed(arguments).unwrap_err().hint.as_deref(),
            Some(hint),
            "{arguments:?}"
        );
    }
}

#[test]
fn values_come_in_two_forms() {
    for arguments in [&["--history.limit=3"] as &[_], &["--history.limit", "3"]] {
        assert_eq!(run(arguments).history_limit, 3);
    }
    assert!(run(&["--config.check"]).config_check);
    assert!(!run(&["--no-config.check"]).config_check);
    assert_eq!(run(&["--log.level=DEBUG"]).log_level, Level::Debug);
    assert_eq!(run(&["--timeout-offset", "1e-1"]).timeout_offset, 0.1);
    assert_eq!(
        run(&["--web.listen-address=:1", "--web.listen-address", ":2"]).listen_addresses,
        [":1", ":2"]
    );
}

#[test]
fn refusals_are_kingpins() {
    for (arguments, message) in [
        (&["--nope"] as &[_], "unknown long flag '--nope'"),
        (&["--nope=1"], "unknown long flag '--nope'"),
        (&["-x"], "unknown short flag '-x'"),
        (&["--config.fil=x"], "unknown long flag '--config.fil'"),
        (&["extra"], "unexpected extra"),
        (&["--config.check", "extra"], "unexpected extra"),
        (&["--config.file"], "expected argument for flag '--config.file'"),
        (
            &["--config.file", "--config.check"],
            "expected argument for flag '--config.file'",
        ),
        (
            &["--config.file=a", "--config.file=b"],
            "flag 'config.file' cannot be repeated",
        ),
        (
            &["--targets.file=a", "--targets.file=b"],
            "flag 'targets.file' cannot be repeated",
        ),
        (
            &["--config.check", "--no-config.check"],
            "flag 'config.check' cannot be repeated",
        ),
        (&["--config.check=yes"], "unexpected yes"),
        (&["--no-config.file"], "unknown long flag '--no-config.file'"),
        (
            &["--history.limit=-1"],
            "strconv.ParseUint: parsing \"-1\": invalid syntax",
        ),
        (
            &["--timeout-offset="],
            "strconv.ParseFloat: parsing \"\": invalid syntax",
        ),
        (&["--log.level="], "unrecognized log level "),
        (&["--log.format=JSON"], "unrecognized log format JSON"),
        (&["--", "--config.check"], "unexpected --config.check"),
    ] {
        assert_eq!(parsed(arguments).unwrap_err().message, message, "{arguments:?}");
    }
}

#[test]
fn shells_are_told_what_may_follow() {
    let told = |arguments: &[&str]| match parsed(arguments) {
        Ok(Action::Complete(words)) => words,
        other => panic!("{other:?}"),
    };
    let none: [&str; 0] = [];
    for arguments in [
        &["--completion-bash"] as &[_],
        &["--completion-bash", "x"],
        &["--completion-bash", "--log.format", "json"],
        &["--completion-bash", "--config.file", "x"],
    ] {
        assert_eq!(told(arguments), none, "{arguments:?}");
    }
    for last in [
        &["--log.format"] as &[_],
        &["--log.format", ""],
        &["--log.format", "js"],
    ] {
        let arguments = [&["--completion-bash"], last].concat();
        assert_eq!(told(&arguments), ["logfmt", "json"], "{last:?}");
    }
    for last in [&["--web"] as &[_], &["--log.format=js"], &["--nope", "x"]] {
        let words = told(&[&["--completion-bash"], last].concat());
        assert!(
            words.contains(&"--web.listen-address".to_owned()),
            "{last:?}: {words:?}"
        );
    }
}

#[test]
fn help_and_version_win_over_bad_values_but_not_over_unknown_flags() {
    for arguments in [
        &["-h"] as &[_],
        &["--history.limit=x", "--help"],
        &["--no-help"],
        &["--help-long"],
        &["--help-long", "--nope"],
        &["--no-help-long"],
        &["--timeout-offset=x", "--help-long=x"],
    ] {
        assert_eq!(parsed(arguments), Ok(Action::Help), "{arguments:?}");
    }
    for arguments in [
        &["--history.limit=x", "--version"] as &[_],
        &["--help", "--version"],
        &["--version", "--nope"],
        &["--version=false"],
        &["--no-version", "extra"],
    ] {
        assert_eq!(parsed(arguments), Ok(Action::Version), "{arguments:?}");
    }
    for arguments in [
        &["--help", "--nope"] as &[_],
        &["--nope", "--version"],
        &["--help=true"],
        &["-hx", "--help-long"],
        &["-x", "--completion-script-bash"],
        &["arg", "--help-man"],
        &["--nope", "--completion-bash"],
        &["-hx", "--completion-bash"],
        &["--config.file", "--completion-bash"],
        &["--timeout-offset=x", "--completion-bash"],
    ] {
        assert!(parsed(arguments).is_err(), "{arguments:?}");
    }
}

#[test]
fn arguments_may_stand_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("@{}", folder.path().join(name).display());
    std::fs::write(
        folder.path().join("flags"),
        "# comment\n\n--history.limit\r\n7\n  \n--log.level=error\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("value"), "9\n--config.check\n").unwrap();
    let flags = run(&[&path("flags"), "--timeout-offset", &path("value")]);
    assert_eq!((flags.history_limit, flags.log_level), (7, Level::Error));
    assert_eq!((flags.timeout_offset, flags.config_check), (9.0, true));
    assert_eq!(run(&["--config.file=@x"]).config_files, ["@x"]);
    assert_eq!(
        run(&["--config.file=/", "--config.file=*.yml"]).config_files,
        ["/", "*.yml"]
    );
    for (arguments, message) in [
        (&["@"] as &[_], "expected @ file to expand arguments from"),
        (
            &["@/no/such"],
            "failed to open arguments file \"/no/such\": open /no/such: no such file or directory",
        ),
        (
            &["--config.file", "@/no/such"],
            "expected argument for flag '--config.file'",
        ),
        (&["--", "@/no/such"], "unexpected @/no/such"),
    ] {
        assert_eq!(parsed(arguments).unwrap_err().message, message, "{arguments:?}");
    }
}
