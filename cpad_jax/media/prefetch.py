"""Work that runs ahead of the one who uses it, so that neither waits for the other."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar('Item')


class Ahead(Generic[Item]):
    """An iterator whose items are made in a thread of its own, a few ahead.

    The thread starts at once. An error is raised where the item would have come, after all items
    before it. The thread ends and the source is closed at the end of the items, on `close`, at the
    end of a `with` block, and when the iterator is no longer referenced.
    """

    def __init__(self, source: Iterable[Item], count: int = 8):
        """Starts making items.

        Args:
            source: Where they come from, such as `video.iterate_frames(...)`; used by the thread
                alone from now on.
            count: How many finished items may wait at most, >= 1.

        Raises:
            ValueError: `count` is below 1.
        """
        if count < 1:
            raise ValueError(f'at least one item must be made ahead, got count={count}')
        self._made: queue.SimpleQueue[tuple[bool, object]] = queue.SimpleQueue()
        self._room = threading.Semaphore(count)
        self._ended = False
        stop = threading.Event()
        # The thread must not know of this object, or it would never be let go.
        thread = threading.Thread(
            target=_make, args=(iter(source), self._made, self._room, stop), daemon=True
        )
        self._finish = weakref.finalize(self, _end, thread, self._room, stop)
        thread.start()

    def __enter__(self) -> Ahead[Item]:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __iter__(self) -> Ahead[Item]:
        return self

    def __next__(self) -> Item:
        if self._ended:
            raise StopIteration
        is_item, made = self._made.get()
        if is_item:
            self._room.release()
            return made
        self.close()
        if made is None:
            raise StopIteration
        raise made

    def close(self) -> None:
        """Ends the thread, after the item that it is making, and closes the source."""
        self._ended = True
        self._finish()


def _make(
    source: Iterator, made: queue.SimpleQueue, room: threading.Semaphore, stop: threading.Event
) -> None:
    error = None
    try:
        while True:
            room.acquire()  # Before the item is made, which is then never one too many.
            if stop.is_set():
                break
            made.put((True, next(source)))
    except StopIteration:
        pass
    except BaseException as raised:
        error = raised
    try:
        if hasattr(source, 'close'):
            source.close()
    except BaseException as raised:
        error = error or raised
    made.put((False, error))


def _end(thread: threading.Thread, room: threading.Semaphore, stop: threading.Event) -> None:
    stop.set()
    room.release()
    # The last reference may be let go in the thread itself, by the collector of garbage.
    if thread is not threading.current_thread():
        thread.join()
