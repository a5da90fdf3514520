"""Ending well: signals become exceptions, so that every `finally` and context manager runs."""
from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator


def exit_on_signals() -> None:
    """SIGINT, SIGTERM and SIGHUP raise SystemExit in the main thread; a second one does not interrupt the clean-up."""
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, _frame: object) -> None:
        for each in watched:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for each in watched:
        signal.signal(each, stop)


@contextlib.contextmanager
def without_signals() -> Iterator[None]:
    """A clean-up that has begun is not interrupted half-way."""
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def attempt(what: str, action: Callable[[], object]) -> bool:
    """One step of a clean-up: its failure is told and the next steps still run."""
    try:
        action()
        return True
    except Exception as error:  # pylint: disable=broad-except
        print(f"harness: clean-up: {what}: {error}: going on with the rest", file=sys.stderr)
        return False
