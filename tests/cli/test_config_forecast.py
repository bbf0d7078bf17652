"""The forecast of `config check`, with what the agent has learned of its links."""

from __future__ import annotations

from pathlib import Path

from qos_agent.cli.config import _shortfalls
from qos_agent.cli.options import load_configuration
from qos_agent.model.rate_statistics import PastTest
from qos_agent.probes.throughput.history import History
from tests.journal.support import open_journal

TEST = PastTest(5e6, 1e5, 1.0, 500_000)
CONFIG = """
[journal]
folder = "{folder}"
[allowance]
monthly = "{monthly}"
"""


def test_the_forecast_uses_what_tests_have_cost(tmp_path: Path) -> None:
    """A month that the limits exceed suffices for what the tests really cost."""
    folder = tmp_path / "journal"
    config = tmp_path / "agent.toml"
    config.write_text(CONFIG.format(folder=folder, monthly="1500MB"))
    settings = load_configuration(config).settings
    before = list(_shortfalls(settings))
    assert any("month needs" in line for line in before)
    journal = open_journal(folder)
    history = History(journal)
    link = settings.link_list()[0].name
    for _ in range(5):
        history.add(link, "down", TEST)
        history.add(link, "up", TEST)
    journal.close()
    after = list(_shortfalls(settings))
    assert after != before
