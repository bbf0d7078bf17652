"""A front that adds the v2 write path to an InfluxDB older than 1.8.

InfluxDB 1.8 does the same itself. The body, compressed or not, is unchanged. Only the
path, the names of the parameters and the form of the credentials differ.
"""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.servers.answers import Answer, Pass, Request, Status, refused
from tests.servers.front import Front

HEALTHY = b'{"name":"influxdb","status":"pass","checks":[]}'
PRECISIONS = {"ns": "n", "us": "u", "ms": "ms", "s": "s"}


def mapping_front(
    target: str, address: str, port: int, namespace: str | None = None
) -> Front:
    """Return a front with the API of InfluxDB 1.8."""
    front = Front(
        target,
        address=address,
        port=port,
        namespace=namespace,
        target_namespace=namespace,
    )
    front.always(map_request)
    return front


def map_request(request: Request) -> Answer:
    """Return the answer that forwards a request to the path of the old server."""
    path = urlsplit(request.path).path
    if path == "/health":
        return Status(200, HEALTHY, {"Content-Type": "application/json"})
    if path == "/api/v2/write":
        try:
            mapped = map_write(request.path)
        except KeyError:
            return refused(400, "invalid precision (use ns, us, ms or s)")
        return Pass(mapped, _old_credentials(request))
    return Pass(headers=_old_credentials(request))


def map_write(path: str) -> str:
    """Convert /api/v2/write?org&bucket&precision to /write?db&rp&precision."""
    values = {name: all_[0] for name, all_ in parse_qs(urlsplit(path).query).items()}
    database, _, policy = values.get("bucket", "").partition("/")
    old = {"db": database, "precision": PRECISIONS[values.get("precision", "ns")]}
    if policy:
        old["rp"] = policy
    return f"/write?{urlencode(old)}"


def _old_credentials(request: Request) -> dict[str, str]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Token":
        return {}
    return {"authorization": f"Basic {base64.b64encode(token.encode()).decode()}"}
