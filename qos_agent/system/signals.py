"""Signals that end or reload a process in an orderly way.

Every signal whose default action ends a process is handled like SIGTERM. SIGABRT is
that of systemd's watchdog, SIGPWR that of a power supply, SIGUSR1 that of someone who
expects another program. SIGRTMIN+3 stops a container whose image expects systemd. A
second SIGQUIT or SIGABRT ends the process at once.
"""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable, Mapping

_ENDING = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGABRT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGXCPU,
    signal.SIGPWR,
    signal.SIGIO,
    signal.SIGTRAP,
    signal.SIGSTKFLT,
    signal.SIGSYS,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)
_AT_ONCE_THE_SECOND_TIME = (signal.SIGQUIT, signal.SIGABRT)


def handle_signals(
    end: Callable[[], object], reload: Callable[[], object] | None = None
) -> None:
    """Call `end` at each signal that ends a process, and `reload` at SIGHUP if given.

    SIGHUP stays ignored if it was, as under nohup(1). A signal that comes again while
    the interpreter ends is ignored.
    """

    def handle(number: int, _frame: object) -> None:
        if number in _AT_ONCE_THE_SECOND_TIME:
            signal.signal(number, signal.SIG_DFL)
        if number == signal.SIGHUP and reload is not None:
            reload()
        else:
            end()

    for number in _ENDING:
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue
        signal.signal(number, handle)
    # Python resets its own handlers at its end, and the default action would then
    # replace the exit status. Ignored signals stay ignored.
    atexit.register(_ignore)


def _ignore() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def is_service(environment: Mapping[str, str] | None = None) -> bool:
    """Return True if a service manager started this process.

    A terminal emulator that is a service itself passes its INVOCATION_ID on, so a
    process with a controlling terminal is none.
    """
    variables = os.environ if environment is None else environment
    if not {"INVOCATION_ID", "NOTIFY_SOCKET"} & variables.keys():
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return True
    return False
