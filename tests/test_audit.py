"""The lock files, and the search for known vulnerabilities of what they name."""

from __future__ import annotations

import json
import tomllib
from http import HTTPStatus
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.audit import locked, main
from tests.servers.answers import Request, Status
from tests.servers.fixtures import MakeFront

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
AGENT, DEV = ROOT / "requirements/agent.txt", ROOT / "requirements/dev.txt"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Return a lock file of two libraries, one of them for some systems only."""
    path = tmp_path / "lock.txt"
    path.write_text(
        "urllib3==2.5.0 \\\n    --hash=sha256:00\n    # via agent\n"
        "cffi==2.1.1 ; sys_platform == 'linux' \\\n    --hash=sha256:01\n"
    )
    return path


def _answer(*vulnerable: str) -> Status:
    results = [{"vulns": [{"id": v}]} if v else {} for v in vulnerable]
    body = json.dumps({"results": results}).encode()
    return Status(HTTPStatus.OK, body=body)


def test_a_vulnerable_library_is_an_error(
    lock: Path, front: MakeFront, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names library, version and advisory; the query has both libraries."""
    server = front("")
    server.always(_answer("", "GHSA-2xpw-w6gg-jr37"))
    assert main([str(lock)], server.url) == 1
    (request,) = server.requests
    assert capsys.readouterr().out == "urllib3 2.5.0: GHSA-2xpw-w6gg-jr37\n"
    assert _asked(request) == [("cffi", "2.1.1"), ("urllib3", "2.5.0")]


def _asked(request: Request) -> list[tuple[str, str]]:
    queries = json.loads(request.body)["queries"]
    assert {query["package"]["ecosystem"] for query in queries} == {"PyPI"}
    return [(query["package"]["name"], query["version"]) for query in queries]


def test_nothing_known_is_a_pass(
    lock: Path, front: MakeFront, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line counts the libraries, so that an empty lock file is noticed."""
    server = front("")
    server.always(_answer("", ""))
    assert main([str(lock)], server.url) == 0
    assert capsys.readouterr().out == "audit: 2 libraries, nothing known\n"


@pytest.mark.parametrize("answer", [Status(503), Status(200, body=b"{}"), None])
def test_a_skipped_audit_is_visible(
    answer: Status | None,
    lock: Path,
    front: MakeFront,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a database the exit status is 0, but not before a release."""
    server = front("")
    server.always(answer or Status(200))
    if answer is None:
        server.stop()
    monkeypatch.delenv("QOS_REQUIRE_AUDIT", raising=False)
    assert main([str(lock)], server.url) == 0
    assert capsys.readouterr().out.startswith("AUDIT SKIPPED: ")
    monkeypatch.setenv("QOS_REQUIRE_AUDIT", "1")
    assert main([str(lock)], server.url) == 1


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_each_lock_file_has_hashes_and_no_address(path: Path) -> None:
    """pip then installs only the files that were locked, from any index."""
    text = path.read_text()
    assert "://" not in text
    pieces = text.replace("\\\n", " ").splitlines()
    entries = [line for line in pieces if "==" in line and not line.startswith("#")]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_file_fits_the_declared_libraries() -> None:
    """Each library of pyproject.toml is locked, in a version that it allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = {
        AGENT: project["dependencies"],
        DEV: [*project["dependencies"], *(line for e in extras.values() for line in e)],
    }
    for path, lines in declared.items():
        versions = dict(locked(path.read_text()))
        for requirement in map(Requirement, lines):
            version = versions[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{path}: {requirement}"


def test_the_agent_and_its_tests_use_the_same_versions() -> None:
    """Each version that runs on a device was tested."""
    tested = set(locked(DEV.read_text()))
    assert set(locked(AGENT.read_text())) <= tested


@pytest.mark.parametrize("text", ["", "# only a comment\n    --hash=sha256:00\n"])
def test_no_library_is_no_pass(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty lock file would otherwise be without known vulnerabilities."""
    path = tmp_path / "lock.txt"
    path.write_text(text)
    assert main([str(path)]) == 1
    assert "AUDIT FAILED" in capsys.readouterr().out


def test_extras_and_odd_lines_are_not_passed_over() -> None:
    """A library with extras is looked up, and a line without a version is an error."""
    assert [*locked("uvicorn[standard]==0.30 \\\n")] == [("uvicorn", "0.30")]
    for line in ("urllib3>=2", "agent @ https://example.id/agent.whl", "Urllib3==2"):
        with pytest.raises(ValueError, match="not a locked library"):
            list(locked(line))


def test_every_lock_file_can_be_read() -> None:
    """No requirement of this project is left out of the audit."""
    for path in LOCKS:
        assert [*locked(path.read_text())], path


def test_the_forge_cannot_skip_the_audit() -> None:
    """Its job needs a database, has no condition, and runs without a push too."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    job = workflow["jobs"]["audit"]
    assert not {"if", "continue-on-error", "needs"} & set(job)
    audits = [
        s for s in job["steps"] if s.get("run") == "QOS_REQUIRE_AUDIT=1 make audit"
    ]
    assert len(audits) == 1
    assert not {"if", "continue-on-error"} & set(audits[0])
    # YAML 1.1 reads the key `on` as a boolean.
    assert {"push", "pull_request", "schedule"} <= set(workflow[True])
    recipe = (ROOT / "Makefile").read_text().partition("\naudit:\n")[2]
    assert "requirements/*.txt" in recipe.partition("\n\n")[0]
