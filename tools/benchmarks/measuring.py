"""What all subjects of `tools/benchmark.py` measure and draw with."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SECONDS = 10.0  # Of measuring each row, after a first call that compiles.


def peak() -> int:
    """Most memory that this process has had, in bytes."""
    status = Path('/proc/self/status')
    if status.exists():  # `getrusage` on Linux counts what the starting process had, too.
        line = next(x for x in status.read_text().splitlines() if x.startswith('VmHWM:'))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def rate(call: Callable[[], object], items: int, seconds: float = SECONDS) -> float:
    """Items per second of calls that are repeated for so many seconds."""
    call()
    start = time.perf_counter()
    calls = 0
    while time.perf_counter() - start < seconds:
        call()
        calls += 1
    return calls * items / (time.perf_counter() - start)


def quickest(call: Callable[[], object], seconds: float = SECONDS) -> float:
    """Seconds of the quickest of the calls that fit into a time, after a first one."""
    call()
    costs, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        costs.append(time.perf_counter() - start)
    return min(costs)


def texture(height: int, width: int, slope: float, seed: int) -> np.ndarray:
    """A random picture whose amplitudes fall as 1 / frequency ** slope: uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.maximum(np.hypot(rows, columns), 1 / max(height, width))
    waves = np.fft.rfft2(rng.standard_normal((3, height, width))) / frequency**slope
    picture = np.fft.irfft2(waves, (height, width)).transpose(1, 2, 0)
    return np.clip(128 + 40 * picture / picture.std(), 0, 255).astype(np.uint8)
