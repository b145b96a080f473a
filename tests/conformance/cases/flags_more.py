"""Command lines that only kingpin reads so. Recorded from upstream with run.py --record."""
from around import lines, plain_error, run
from harness import script


def shown(lab, *command_lines):
    """Exit status and what is printed: the version, the help, or an error."""
    out = []
    for arguments in command_lines:
        status, stdout, stderr = run(lab, *arguments, seconds=5)
        kind = "version" if ", version " in stdout[:60] else "help" if stdout.startswith("usage: ") else plain_error(stderr)
        out.append(f"{' '.join(arguments)} -> {status} {kind}".replace(lab.dir, "DIR"))
    return lines(*out)


@script("flags-more/version-and-help", about="the version is printed as soon as it is read, the help when all was read")
def _(lab):
    return shown(
        lab, ["--version", "--help"], ["--help", "--version"], ["--version", "--nope"], ["--version", "extra"], ["--nope", "--version"], ["--help", "--nope"],
        ["--help", "extra"], ["--version=true"], ["--version=false"], ["--no-version"], ["--no-help"], ["--help=true"], ["--help-long"],
        ["--log.level=x", "--help"], ["--log.level=x", "--version"], ["--config.file", "--version"],
    )


@script("flags-more/hidden", about="what kingpin prints for its hidden flags, unless something before them is wrong")
def _(lab):
    wrong = ["-x"], ["-hx"], ["--nope"], ["extra"], ["--config.file"], ["--config.check=x"], ["--"]
    return shown(
        lab, ["--help-long", "--nope"], ["--no-help-long"], ["--help-long=x"], ["--timeout-offset=x", "--help-long"], ["--timeout-offset=x", "--completion-bash"],
        *[[*before, hidden] for before in wrong for hidden in ("--help-long", "--help-man", "--completion-script-bash", "--completion-bash")],
    )


@script("flags-more/arguments-from-a-file", about="@FILE stands for the lines of a file")
def _(lab):
    lab.file("good.yml", "modules: {}\n")
    lab.file("flags", "# a comment\n\n--config.check\n  \n--config.file\ngood.yml\n")
    lab.file("value", "good.yml\n--config.check\n")
    lab.file("unknown", "--nope\n")
    lab.file("nested", "@flags\n")
    return shown(
        lab, ["@"], ["@nowhere"], ["@unknown"], ["--", "@flags"], ["--config.file", "@nowhere"], ["@unknown", "--version"], ["--version", "@unknown"],
    ) + lines(*[f"{' '.join(a)} -> {run(lab, *a)[0]}" for a in (["@flags"], ["--config.file", "@value"], ["--config.file=@value", "--config.check"], ["@nested"], ["@flags", "@flags"])])
