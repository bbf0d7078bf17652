"""The bill of materials of a package, in CycloneDX 1.5."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any


def sbom(version: str, wheels: Iterable[Path]) -> str:
    """Return the JSON text: each library with its version, licence and hash."""
    components = [_component(wheel) for wheel in sorted(wheels)]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "qos-agent",
                "name": "qos-agent",
                "version": version,
            }
        },
        "components": components,
    }
    return json.dumps(document, indent=2) + "\n"


def _component(wheel: Path) -> dict[str, Any]:
    name, version = _metadata(wheel, "Name"), _metadata(wheel, "Version")
    licence = _metadata(wheel, "License-Expression") or _metadata(wheel, "License")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": wheel.name,
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower()}@{version}?file_name={wheel.name}",
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }
    if licence:
        # Some packages contain the whole text here.
        component["licenses"] = [{"license": {"name": licence.splitlines()[0]}}]
    return component


def _metadata(wheel: Path, key: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return BytesHeaderParser().parsebytes(archive.read(path)).get(key, "")
