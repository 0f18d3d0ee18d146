"""Standard output and error that cannot end a command's work, whatever they lead to."""

from __future__ import annotations

import contextlib
import io
import os
import sys


class _Forgiving(io.FileIO):
    """A stream that drops what cannot be written, and keeps why.

    Attributes:
        failed: The first error, or None.
    """

    def __init__(self, number: int, pipes: bool):
        super().__init__(number, 'w', closefd=False)
        self.failed: OSError | None = None
        self._pipes = pipes

    def write(self, data) -> int | None:
        """As a file does, but raises nothing other than a BrokenPipeError, if that is wanted."""
        try:
            return super().write(data)
        except BrokenPipeError:
            if self._pipes:
                raise
        except OSError as error:
            self.failed = self.failed or error
        return len(data)


def prepare() -> None:
    """Makes the streams of this process ready for any text and any end of theirs.

    A name that their encoding does not have is printed with escapes. Streams that the shell closed
    are opened on nothing, or the next file that is opened would get what is printed. A pipe that
    has no reader raises BrokenPipeError on stdout alone.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # It takes the lowest number that is free. Nothing can be written to it.
            os.open(os.devnull, os.O_RDONLY)
    for number, name in ((1, 'stdout'), (2, 'stderr')):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f'__{name}__'):
            continue  # Somebody catches what is printed, or this was done before.
        encoding = 'utf-8' if stream is None else stream.encoding
        lines = number == 2 or os.isatty(number) or bool(stream and stream.line_buffering)
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.flush()
        opened = io.TextIOWrapper(
            io.BufferedWriter(_Forgiving(number, pipes=number == 1)),
            encoding=encoding,
            errors='backslashreplace',
            line_buffering=lines,
            write_through=bool(stream and stream.write_through),
        )
        opened.mode = 'w'
        setattr(sys, name, opened)


def unwritten() -> OSError | None:
    """Why something that was printed on stdout did not arrive; None if all did."""
    raw = getattr(getattr(sys.stdout, 'buffer', None), 'raw', None)
    return raw.failed if isinstance(raw, _Forgiving) else None
