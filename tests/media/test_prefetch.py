import gc
import threading
import time

import numpy as np
import pytest

from cpad_jax.media import video
from cpad_jax.media.prefetch import Ahead


def _settle(true, seconds=10):
    """Waits until something becomes true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it never became true'
        time.sleep(0.001)


def test_all_items_come_in_order_and_from_another_thread():
    threads = []

    def source():
        for i in range(100):
            threads.append(threading.current_thread())
            yield i

    assert list(Ahead(source(), 3)) == list(range(100))
    assert set(threads) != {threading.current_thread()}
    assert len(set(threads)) == 1


@pytest.mark.parametrize('count', [1, 4])
def test_it_runs_ahead_by_so_many_items_and_no_more(count):
    made = []

    def source():
        for i in range(100):
            made.append(i)
            yield i

    with Ahead(source(), count) as items:
        _settle(lambda: len(made) == count)
        assert next(items) == 0
        _settle(lambda: len(made) == count + 1)
        time.sleep(0.02)
        assert len(made) == count + 1


def test_an_error_comes_after_the_items_before_it():
    def source():
        yield from range(5)
        raise KeyError('five')

    items = Ahead(source(), 8)
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match='five'):
        next(items)
    assert list(items) == []


@pytest.mark.parametrize('how', ['close', 'with', 'forget', 'error'])
def test_thread_and_source_end_with_the_consumer(how):
    before = set(threading.enumerate())
    closed = []

    def source():
        try:
            i = 0
            while True:
                yield i
                i += 1
        finally:
            closed.append(threading.current_thread())

    items = Ahead(source(), 2)
    [thread] = set(threading.enumerate()) - before
    assert next(items) == 0
    if how == 'close':
        items.close()
        items.close()
        assert list(items) == []
    elif how == 'with':
        with items:
            next(items)
    elif how == 'error':
        with pytest.raises(ZeroDivisionError), items:
            raise ZeroDivisionError
    del items
    gc.collect()
    assert not thread.is_alive()
    assert closed == [thread]


def test_frames_of_a_video(tmp_path):
    path = tmp_path / 'grey.mp4'
    levels = np.arange(30, dtype=np.uint8) * 6 + 20
    video.write_video(
        path, np.broadcast_to(levels[:, None, None, None], (30, 48, 64, 3)).copy(), 10
    )
    plain = list(video.iterate_frames(path))
    with Ahead(video.iterate_frames(path), 2) as ahead:
        for (frame, begins), (same, same_begins) in zip(plain, ahead, strict=True):
            np.testing.assert_array_equal(frame, same)
            assert begins == same_begins
    path.write_bytes(b'')
    with pytest.raises(video.UserError, match='is empty'):
        next(Ahead(video.iterate_frames(path)))
    with pytest.raises(ValueError, match='count=0'):
        Ahead([], 0)
