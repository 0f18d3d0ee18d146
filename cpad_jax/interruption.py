"""What ends a command from outside, Ctrl-C or a signal, and the clean-up that follows."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

# Of `kill`, `timeout`, `docker stop` and batch systems; of a terminal that is closed.
_ENDING = (signal.SIGTERM, signal.SIGHUP)
# Some of them send a signal twice at once, to the process and to its group.
_TWICE = 1.0  # Seconds.
_AGAIN = 0.05


class Interrupted(KeyboardInterrupt):
    """A signal, raised wherever the program is, so that it cleans up as after Ctrl-C.

    Attributes:
        status: The exit status that a shell expects, 128 and the signal's number.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise `Interrupted` within; a second Ctrl-C ends at once.

    Signals that are ignored, as SIGHUP is under `nohup`, stay so. In another thread than the main
    one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_ENDING)}
    first: list[float] = []
    shown = sys.unraisablehook

    def again(unraisable: sys.UnraisableHookArgs) -> None:
        # Python drops what is raised while it calls back from C, such as when it collects garbage.
        if not isinstance(unraisable.exc_value, Interrupted):
            return shown(unraisable)
        first.clear()
        signal.signal(signal.SIGINT, handle if caught(signal.SIGINT) else signal.SIG_IGN)
        number = unraisable.exc_value.status - 128
        threading.Timer(_AGAIN, os.kill, (os.getpid(), number)).start()

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if first and time.monotonic() - first[0] < _TWICE and number != signal.SIGINT:
            return
        # Whatever hangs while it cleans up, be it Python or not.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if first:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        first.append(time.monotonic())
        raise Interrupted(number)

    def caught(number: int) -> bool:
        return before[number] not in (signal.SIG_IGN, None)

    for number in filter(caught, before):
        signal.signal(number, handle)
    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = shown
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def end_workers() -> None:
    """Ends the processes that `multiprocessing` started here; each cleans up what it was making."""
    if 'multiprocessing' in sys.modules:
        import multiprocessing

        for worker in multiprocessing.active_children():
            worker.terminate()
