"""The table of commands, and the one place where errors become exit statuses."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, TypeGuard

import typer

from qos_agent import __version__
from qos_agent.cli import arguments
from qos_agent.cli.output import guarded, lost_output
from qos_agent.model.errors import OperatorError, QosAgentError
from qos_agent.model.text import one_line

# Name: module of this folder, function or typer app in it, help. Importing every
# command only to print this list would take a second on a slow board.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("run_agent", "run", "Run the agent in the foreground."),
    "once": ("run_agent", "once", "Run one round of measurements and print it."),
    "status": ("status", "status", "Show the state of the running agent."),
    "doctor": ("doctor", "doctor", "Check everything that measuring needs."),
    "enrol": ("enrol", "enrol", "Make this device the agent of a station."),
    "config": ("config", "app", "Write, check, show and reload the configuration."),
    "pause": ("pause", "pause", "Pause one probe or all probes for a limited time."),
    "resume": ("pause", "resume", "End a pause early."),
    "journal": ("journal", "app", "Inspect, verify and export the local journal."),
    "archive": ("archive", "app", "Build, check and export archives of readings."),
    "report": ("report", "report", "Write the figures of an archive as tables."),
    "verify": ("verify", "verify", "Verify an evidence bundle, without a network."),
    "export": ("export", "export", "Export the journal as CSV files with checksums."),
    "election": ("election", "app", "Show and check the election calendar."),
    "setup": ("setup", "setup", "Set up this device and check it."),
    "maintenance": (
        "maintenance",
        "maintenance",
        "Show or allow an upgrade during voting and counting.",
    ),
    "reflector": ("reflector", "reflector", "Answer STAMP test packets (RFC 8762)."),
    "noc": ("noc", "app", "Run the operations centre: register, devices, census."),
}


# A path that the system cannot open is wrong usage, whichever file is at fault.
_WRONG_NAME = {errno.ENAMETOOLONG}
_FIXES = {
    errno.ENAMETOOLONG: ". Fix: use a shorter path.",
    errno.ENOSPC: ". Fix: free disk space, or name another place.",
    errno.EROFS: ". Fix: name a place that is not read-only.",
}
_LINE_LONGEST = 5000

EXIT_STATUSES: dict[int, str] = {
    0: "The command is done.",
    1: "A check failed, a server or a file has a problem, or output was lost.",
    2: "The usage or the configuration is wrong. The message says how to fix it.",
    3: "The command met a bug in qos-agent. Please report the traceback.",
    130: "The user interrupted the command with Ctrl-C.",
}


def _print_version(requested: bool) -> None:
    if requested:
        print(f"qos-agent {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version",
        help="Print the version.",
        callback=_print_version,
        is_eager=True,
    ),
]


def build(arguments: Sequence[str]) -> typer.Typer:
    """Return the command line. Only commands named in the arguments are loaded."""
    app = typer.Typer(
        name="qos-agent",
        help="Measure a polling station's network and send the results to InfluxDB.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_options)
    for name, (module, member, text) in COMMANDS.items():
        if name not in arguments:
            app.command(name, help=text)(_not_loaded)
            continue
        command = getattr(import_module(f"qos_agent.cli.{module}"), member)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, help=text)
        else:
            app.command(name)(command)
    return app


def _options(version: VersionOption = False) -> None:
    """Declare the options before the command."""


def _not_loaded() -> None:
    """Placeholder for a command that is not loaded, so that `--help` lists it."""


def run() -> int:
    """Run one command and return its exit status.

    A command that has no status of its own fails if its output was lost.
    """
    with guarded():
        status = _run_command()
        if (reason := lost_output()) is not None:
            _report(f"standard output: {reason}", 1)
    if status is None:
        return 0 if reason is None else 1
    return status


def _run_command() -> int | None:
    """Return the status of the command, or None if it has none of its own.

    This is one of the few places that catch every exception.
    """
    try:
        arguments.check(sys.argv[1:])
        arguments.need_working_folder()
        result = build(sys.argv[1:])(standalone_mode=False, prog_name="qos-agent")
    except OperatorError as error:
        return _report(str(error), 2)
    except QosAgentError as error:
        return _report(str(error), 1)
    except (typer.Abort, KeyboardInterrupt) as error:
        # The parser takes the end of a bytecode file for the end of the input.
        if _is_damage(error.__cause__):
            raise error.__cause__ from None
        return 130
    except (ImportError, SyntaxError):
        raise  # a damaged program, see qos_agent/__main__.py
    except OSError as error:
        return _report(_of_system(error), 2 if error.errno in _WRONG_NAME else 1)
    except Exception as error:
        if _is_damage(error):
            raise
        return _unexpected(error)
    return result if isinstance(result, int) else None


def _is_damage(error: BaseException | None) -> TypeGuard[ValueError | EOFError]:
    """Return True for an error of the import of a damaged file.

    Python 3.11.2 reports a zero byte in a module as a ValueError. The other texts are
    those of marshal for bytecode.
    """
    texts = ("null bytes", "marshal data", "EOF read where")
    return isinstance(error, ValueError | EOFError) and any(
        text in str(error) for text in texts
    )


def _report(message: str, exit_status: int) -> int:
    """Print the lines of an error; each may contain characters from outside."""
    for line in message.split("\n"):
        print(one_line(line, _LINE_LONGEST), file=sys.stderr)
    return exit_status


def _of_system(error: OSError) -> str:
    path = "" if error.filename is None else f"{one_line(str(error.filename))}: "
    fix = _FIXES.get(error.errno or 0, "")
    return f"{path}{error.strerror or error}{fix}"


def _unexpected(error: Exception) -> int:
    """Print the parser's message for wrong usage. Report any other error as a bug."""
    show = getattr(error, "show", None)
    if callable(show):
        # The parser puts a prefix of pydantic in front of some messages.
        message = getattr(error, "message", "")
        message = one_line(message.replace("Value error, ", ""))
        setattr(error, "message", message)  # noqa: B010
        show()
        return 2
    import traceback

    traceback.print_exception(error)
    return _report("This is a bug in qos-agent. Please report the lines above.", 3)
