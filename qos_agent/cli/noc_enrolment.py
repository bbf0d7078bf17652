"""`qos-agent noc enrolment`: the endpoint at which devices enrol."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from qos_agent.cli.noc_options import NocConfigOption
from qos_agent.cli.output import write_in_background
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    import ssl

    from qos_agent.noc.provision.answers import Certify, Desk
    from qos_agent.noc.settings import EnrolmentSection, NocSettings


def enrolment(config: NocConfigOption = None) -> int:
    """Answer the requests of devices that enrol.

    Runs until SIGTERM or Ctrl-C. Each code enrols one device, and the ledger records
    each attempt.
    """
    import asyncio
    import logging

    from qos_agent.cli.log import log_to
    from qos_agent.noc.settings import load

    settings = load(config)
    tls = _tls(settings.enrolment)
    desk = _desk(settings)
    write_in_background()
    log_to(sys.stderr, 2, logging.INFO)
    asyncio.run(_serve(settings.enrolment, desk, tls))
    return 0


async def _serve(
    section: EnrolmentSection, desk: Desk, tls: ssl.SSLContext | None
) -> None:
    import asyncio

    from qos_agent.noc.provision.server import Server
    from qos_agent.system.signals import handle_signals
    from qos_agent.system.systemd import Notifier

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    handle_signals(lambda: loop.call_soon_threadsafe(stop.set))
    server = Server(desk)
    try:
        listening = await server.start(section.address, section.port, tls)
        address = listening.sockets[0].getsockname()
        print(f"enrolment: listening on {address[0]}, port {address[1]}", flush=True)
        Notifier().notify("READY=1")
        await stop.wait()
        Notifier().notify("STOPPING=1")
        listening.close()
    finally:
        server.close()


def _desk(settings: NocSettings) -> Desk:
    """Open the ledger, and check the files that devices receive.

    Raises OperatorError, SigningError or StorageError.
    """
    from qos_agent.noc.provision.answers import Desk, Limiter
    from qos_agent.noc.provision.configuration import files_for_devices
    from qos_agent.noc.provision.ledger import FILE_NAME, Ledger
    from qos_agent.noc.provision.vault import KEY_NAME, Vault
    from qos_agent.noc.register.keys import KeyRegister

    calendar, authority = files_for_devices(settings)
    section = settings.enrolment
    ledger = Ledger(settings.folder / FILE_NAME)
    keys = KeyRegister(settings.folder / "register.sqlite3", any_thread=True)
    vault = Vault.of(settings.provision.key_file or settings.folder / KEY_NAME)
    limiter = Limiter(section.failures, section.requests)
    certify = _certify(settings) if section.certificates else None
    return Desk(ledger, keys, vault, limiter, calendar, authority, certify)


def _certify(settings: NocSettings) -> Certify:
    """Return the function that issues certificates of devices."""
    from functools import partial

    from qos_agent.noc import authority as authorities
    from qos_agent.noc.authority import Authority

    folder = settings.ca.folder or settings.folder / "ca"
    authority = Authority(folder, settings.enrolment.ca_key_file)
    return partial(authorities.issue_device, authority)


def _tls(section: EnrolmentSection) -> ssl.SSLContext | None:
    """Return the context of the endpoint's own certificate; None behind a proxy."""
    import ssl

    from qos_agent.model.addresses import is_loopback

    if section.cert_file is None:
        if is_loopback(section.address):
            return None
        problem = "is missing, and tokens would cross the network without TLS"
        fix = "set it, or listen on 127.0.0.1 behind nginx"
        raise ConfigError("enrolment.cert_file", None, problem, fix)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password OpenSSL would ask on the terminal for that of a key.
        context.load_cert_chain(section.cert_file, section.key_file, password="")
    except OSError as error:
        problem = "must be a certificate and a key without password in PEM format"
        found = repr(str(section.cert_file))
        fix = f"correct the file: {error.strerror or error}"
        raise ConfigError("enrolment.cert_file", found, problem, fix) from error
    return context
