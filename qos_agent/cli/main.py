"""The commands, and the one boundary where errors become exit statuses.

0 done · 1 the world is not well · 2 wrong usage or configuration · 3 a bug.
"""

from __future__ import annotations

import sys

import typer

from qos_agent.cli import (
    config,
    doctor,
    election,
    export,
    journal,
    noc,
    pause,
    reflector,
    run_agent,
    status,
)
from qos_agent.errors import OperatorError, QosAgentError

app = typer.Typer(
    name="qos-agent",
    help="Measures a polling station's network; loses nothing; pushes to InfluxDB.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run_agent.run)
app.command("once")(run_agent.once)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("pause")(pause.pause)
app.command("resume")(pause.resume)
app.command("export")(export.export)
app.add_typer(election.app, name="election")
app.command("reflector")(reflector.reflector)
app.add_typer(journal.app, name="journal")
app.add_typer(noc.app, name="noc")
app.add_typer(config.app, name="config")


def run() -> int:
    """Run one command; the exit status. One of the two broad excepts is here."""
    try:
        result = app(standalone_mode=False)
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
