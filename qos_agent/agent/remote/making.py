"""Makes the parts of the remote configuration for an agent."""

from __future__ import annotations

import threading

from qos_agent.agent.remote.check import Check
from qos_agent.agent.remote.pauses import CentrePauses
from qos_agent.agent.remote.watch import Account, Fetcher, RemoteWatch
from qos_agent.config import thresholds
from qos_agent.config.loading import Loaded, load_with
from qos_agent.config.remote.in_force import Remote, store_in
from qos_agent.influx.documents import DocumentClient
from qos_agent.model import Clock
from qos_agent.probes.registry import PROBES
from qos_agent.uplink import Uplink


def make_watch(
    loaded: Loaded,
    clock: Clock,
    account: Account,
    uplink: Uplink,
    pauses: CentrePauses,
    stop: threading.Event,
) -> RemoteWatch | None:
    """Return the checks of an agent, or None if it has no remote configuration."""
    section, sources = loaded.settings.remote, loaded.sources
    if section.url is None or sources is None:
        return None

    def validate(remote: Remote) -> None:
        """Load the whole as `config check` does."""
        settings = load_with(sources, PROBES, remote).settings
        thresholds.load(settings.verdict.thresholds)

    def now_s() -> float | None:
        return clock.wall_ns() / 1e9 if clock.state().trusted else None

    get = Fetcher(
        section.url,
        DocumentClient(loaded.settings.collector, uplink.manager),
        account,
        loaded.settings.link_list(),
        uplink.link,
    )
    store = store_in(loaded.settings.journal.folder, section)
    check = Check(store, loaded.settings.identity(), get, now_s, validate)
    return RemoteWatch(check, pauses, clock, stop, section.cycle_s)
