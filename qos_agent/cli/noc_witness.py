"""`qos-agent noc witness`: runs the witness, and shows its key, roots and proofs."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import (
    ApplyOption,
    NocConfigOption,
    moment_s,
    need_collectors,
)
from qos_agent.cli.options import JsonOption
from qos_agent.cli.output import write_in_background
from qos_agent.model.errors import ConfigError, OperatorError

if TYPE_CHECKING:
    from qos_agent.noc.settings import NocSettings
    from qos_agent.noc.witness.root import Root
    from qos_agent.noc.witness.store import WitnessStore

witness = typer.Typer(
    help="Check and cosign the seals of the agents.", rich_markup_mode=None
)
OnceOption = Annotated[bool, typer.Option("--once", help="Do one pass and stop.")]
CreateOption = Annotated[
    bool, typer.Option("--create", help="Create the key of the witness.")
]
StationArgument = Annotated[str, typer.Argument(help="The code of the station.")]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="MOMENT",
        help="Use the first root since this moment, for example "
        "2024-02-14T15:00:00+07:00. Default: the newest root.",
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FOLDER", help="Write a file for each journal to this folder."
    ),
]


@witness.callback(invoke_without_command=True)
def run_witness(
    context: typer.Context,
    once: OnceOption = False,
    config: NocConfigOption = None,
) -> int:
    """Check and cosign the seals of the agents, each minute.

    Runs until SIGTERM, Ctrl-C or the loss of the terminal. The systemd service runs
    this command.
    """
    import logging
    import threading

    from qos_agent.cli.log import log_to
    from qos_agent.noc.service.witness import WitnessService, run
    from qos_agent.noc.settings import load
    from qos_agent.system.signals import handle_signals

    if context.invoked_subcommand is not None:
        return 0
    settings = load(config)
    need_collectors(settings)
    write_in_background()
    log_to(sys.stderr, 2, logging.INFO)
    with closing(WitnessService(settings)) as service:
        if once:
            report = service.do_pass(time.time_ns())
            print(report)
            return 1 if report.failed or report.tally.problems else 0
        stop = threading.Event()
        handle_signals(stop.set)
        run(service, stop)
    return 0


@witness.command("key")
def key(
    create: CreateOption = False,
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the public key of the witness.

    The first form verifies national roots, and the second one cosignatures.
    """
    from qos_agent.evidence import notes
    from qos_agent.noc.service.witness import create_key, load_public_key
    from qos_agent.noc.settings import load

    settings = load(config)
    if create:
        create_key(settings.folder, settings.witness.name)
    raw = load_public_key(settings.folder).raw
    name = settings.witness.name
    values = {
        "roots": notes.verifier_key(name, raw),
        "cosignatures": notes.verifier_key(name, raw, notes.COSIGNATURE),
    }
    if as_json:
        print(json.dumps(values))
        return
    for use, text in values.items():
        print(f"{use}: {text}")


@witness.command("root")
def root(
    at: AtOption = None, config: NocConfigOption = None, as_json: JsonOption = False
) -> None:
    """Print a national root.

    The output is the signed note, which other programs verify.
    """
    from qos_agent.noc.settings import load

    with closing(_store(load(config))) as store:
        found = _root(store, at)
    if as_json:
        tree = found.checkpoint
        values = {"time_s": found.at_s, "journals": tree.size - 1}
        print(json.dumps({**values, "root": tree.root.hex(), "origin": tree.origin}))
    else:
        print(found.note.to_bytes().decode(), end="")


@witness.command("proof")
def proof(
    station: StationArgument,
    at: AtOption = None,
    out: FolderOption = None,
    config: NocConfigOption = None,
) -> int:
    """Print the proofs of a station's seals.

    They prove that a national root contains the seals. There is one proof for each
    journal, in the format C2SP tlog-proof. The exit status is 1 if the root contains no
    seal of the station.
    """
    from qos_agent.noc.service.witness import load_public_key
    from qos_agent.noc.settings import load
    from qos_agent.noc.witness.root import proof_of

    settings = load(config)
    name, public = settings.witness.name, load_public_key(settings.folder)
    count = 0
    with closing(_store(settings)) as store:
        found = _root(store, at)
        for journal in store.journals(station):
            made = proof_of(store, found, journal.origin, name, public)
            if made is not None:
                count += 1
                _show(made.to_bytes(), out, journal.origin)
    if not count:
        problem = "is not in this national root"
        fix = "check the 13-digit code, and that the device has delivered a seal"
        print(ConfigError("station", repr(station), problem, fix), file=sys.stderr)
    return 0 if count else 1


@witness.command("resume")
def resume(
    station: StationArgument,
    apply: ApplyOption = False,
    config: NocConfigOption = None,
) -> int:
    """Resume the cosignatures of a station after a seal was lost.

    A seal is cosigned only after the one before it. If that one will never arrive, this
    command cosigns the waiting seals and signs a statement about the gap. The event
    `seal_resumed` names it. The exit status is 1 if no seal of the station waits.
    """
    from qos_agent.noc.register.keys import KeyRegister
    from qos_agent.noc.service.witness import load_signer
    from qos_agent.noc.settings import load
    from qos_agent.noc.witness import resuming
    from qos_agent.noc.witness.checking import Checker

    settings = load(config)
    now_ns = time.time_ns()
    with closing(_store(settings)) as store:
        gaps = list(resuming.gaps_of(store, station, now_ns))
        for gap in gaps:
            print(gap)
        if gaps and apply:
            path = settings.folder / "register.sqlite3"
            with closing(KeyRegister(path)) as keys:
                signer, name = load_signer(settings.folder), settings.witness.name
                checker = Checker(store, keys, signer, name)
                count = sum(resuming.resume(checker, name, g, now_ns) for g in gaps)
            print(f"{count} seals cosigned")
        elif gaps:
            print("Nothing was cosigned yet. To apply the changes, add --apply.")
        else:
            print(f"{station}: no seal waits for another one.")
    return 0 if gaps else 1


def _show(content: bytes, folder: Path | None, origin: str) -> None:
    if folder is None:
        print(content.decode(), end="")
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{origin.replace('/', '_')}.tlog-proof"
    path.write_bytes(content)
    print(path)


def _store(settings: NocSettings) -> WitnessStore:
    """Open the database of the witness. Raises OperatorError if there is none."""
    from qos_agent.noc.service.witness import DATABASE
    from qos_agent.noc.witness.store import WitnessStore

    path = settings.folder / DATABASE
    if not path.exists():
        fix = "name the centre's configuration with -c, or run: qos-agent noc witness"
        raise OperatorError(f"{path}: the witness has not run yet. Fix: {fix}.")
    return WitnessStore(path)


def _root(store: WitnessStore, at: str | None) -> Root:
    """Return the root that the options name. Raises OperatorError if there is none."""
    from qos_agent.noc.witness.root import newest

    found = newest(store, moment_s(at, "--at") if at else None)
    if found is None:
        problem, fix = "there is no national root", "wait for the next full hour"
        raise OperatorError(f"--at: {problem} since then. Fix: {fix}.")
    return found
