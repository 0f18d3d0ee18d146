"""Many processes that make records: in order, and with few of them in memory at a time.

The workers are started anew rather than forked, and load only what their function's module imports.
"""

from __future__ import annotations

import collections
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any, NoReturn, TypeVar

from cpad_jax.errors import UserError

# A signal to all processes of a command reaches them one by one.
_ONE_BY_ONE = 0.5  # Seconds.

Item = TypeVar('Item')
Result = TypeVar('Result')


def in_order(
    make: Callable[[Item], Result],
    items: Sequence[Item],
    processes: int | None,
    begin: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
    *,
    doing: str,
) -> Iterator[Result]:
    """Makes something of every item.

    Args:
        make: A function of a module, so that another process finds it.
        items: What it is given.
        processes: How many to use; None for one per CPU core, 1 for this one.
        begin: Is called once in every process before anything else.
        arguments: What `begin` is given.
        doing: What the processes do, for the message, e.g. 'films clips'.

    Yields:
        Results in the order of the items, whatever the number of processes.

    Raises:
        UserError: A process was killed.
    """
    count = min(processes or os.cpu_count() or 1, len(items))
    if count <= 1:
        if begin:
            begin(*arguments)
        yield from map(make, items)
        return
    _begin_tracker()
    # Not forked: this process may run TensorFlow's threads, which do not survive it.
    pool = ProcessPoolExecutor(
        count, multiprocessing.get_context('spawn'), _begin_process, (begin, arguments)
    )
    pending = iter(items)
    others = set(multiprocessing.active_children())
    try:
        # A few ahead and no more, so that memory stays the same however many there are.
        ahead: collections.deque[Future] = collections.deque(
            pool.submit(_work, make, item) for item in itertools.islice(pending, 4 * count)
        )
        while ahead:
            result = ahead.popleft().result()
            ahead.extend(pool.submit(_work, make, item) for item in itertools.islice(pending, 1))
            yield result
    except BrokenProcessPool as error:
        time.sleep(_ONE_BY_ONE)
        raise UserError(
            f'a process that {doing} was killed, most likely because memory ran out: run the '
            'same command again with fewer processes'
        ) from error
    except BaseException:
        # Nobody waits for what they are making.
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_tracker() -> None:
    """Lets Python's own process beside the workers outlive the end of a terminal, as they do."""
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            resource_tracker.ensure_running()
        finally:
            signal.signal(signal.SIGHUP, signal.SIG_DFL if before is None else before)


def _work(make: Callable[[Item], Result], item: Item) -> Result:
    try:
        return make(item)
    except SystemExit:  # The pool would go on with the next item.
        os._exit(1)


def _begin_process(begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    # Ctrl-C goes to every process of the terminal, as does its end; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin:
        begin(*arguments)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Ends this process by an exception, so that no half-written file stays."""
    del number, frame
    raise SystemExit(1)


def _end_with_parent() -> None:
    """Ends this process when the one that started it was killed, which no `finally` would tell."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
