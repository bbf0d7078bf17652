"""The commands, and the one boundary where errors become exit statuses.

0 done · 1 the world is not well · 2 wrong usage or configuration · 3 a bug.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from qos_agent.model.errors import OperatorError, QosAgentError

# Name: module of this folder, function or typer app in it, help. Importing every
# command to print this list would cost a slow board a second.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("run_agent", "run", "Run the agent in the foreground."),
    "once": ("run_agent", "once", "Run one round now and print it."),
    "status": ("status", "status", "Show what the running agent sees."),
    "doctor": ("doctor", "doctor", "Check everything that measuring needs."),
    "config": ("config", "app", "Write, check, show and reload the configuration."),
    "pause": ("pause", "pause", "Skip tasks for a time; it is recorded."),
    "resume": ("pause", "resume", "End a pause before its time."),
    "journal": ("journal", "app", "Look into the local store; check it; send again."),
    "export": ("export", "export", "Export the journal as CSV with SHA-256 of it all."),
    "election": ("election", "app", "Show and check the election calendar."),
    "reflector": ("reflector", "reflector", "Answer STAMP test packets (RFC 8762)."),
    "noc": ("noc", "app", "For the NOC: register, census, a simulated nation."),
}


EXIT_STATUSES: dict[int, str] = {
    0: "The command is done.",
    1: "Something is not well: a check failed, or a server or file has a problem.",
    2: "The usage or the configuration is wrong. The message says how to fix it.",
    3: "The command met a bug in qos-agent. Please report the traceback.",
    130: "The user interrupted the command with Ctrl-C.",
}


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command line, with those commands loaded that the arguments name."""
    app = typer.Typer(
        name="qos-agent",
        help="Measures a polling station's network; loses nothing; pushes to InfluxDB.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for name, (module, member, text) in COMMANDS.items():
        if name not in arguments:
            app.command(name, help=text)(_unloaded)
            continue
        found = getattr(import_module(f"qos_agent.cli.{module}"), member)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, help=text)
        else:
            app.command(name)(found)
    return app


def _unloaded() -> None:
    """Stands in the list for a command that is not asked for."""


def run() -> int:
    """Run one command; the exit status. One of the two broad excepts is here."""
    try:
        result = build(sys.argv[1:])(standalone_mode=False)
    except OperatorError as error:
        return _say(str(error), 2)
    except QosAgentError as error:
        return _say(str(error), 1)
    except typer.Abort:
        return 130
    except Exception as error:  # noqa: BLE001  the boundary: status 3, not a crash
        return _unexpected(error)
    return result if isinstance(result, int) else 0


def _say(message: str, exit_status: int) -> int:
    print(message, file=sys.stderr)
    return exit_status


def _unexpected(error: Exception) -> int:
    """Wrong usage is the parser's to explain; anything else is a bug of ours."""
    show = getattr(error, "show", None)
    if callable(show):
        show()
        return 2
    import traceback

    traceback.print_exception(error)
    return _say("This is a fault of qos-agent; please report the lines above.", 3)
