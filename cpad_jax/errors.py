"""One kind of error for everything a user can mend, and how commands read and print."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn


class UserError(Exception):
    """Something the user can put right.

    The message is one line: what was wrong, where (file, line or key), what was expected, and what
    to do about it.
    """


class CommandParser(argparse.ArgumentParser):
    """Reads a command line whose errors are one line too; `--help` keeps the lines it is given."""

    def __init__(self, description: str):
        """Takes what the command does, and examples."""
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    def error(self, message: str) -> NoReturn:
        """Raises a UserError."""
        raise UserError(f'{message}; {self.prog} --help says more')


def given_path(text: str) -> Path:
    """A path of a command line, as a `type` of argparse: an empty one would be the folder it is in.

    Raises:
        argparse.ArgumentTypeError: It is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError(
            f'expected a path, got {text!r}; is a variable of the shell not set?'
        )
    return Path(text)


_GOES_ON = 'run the same command again to go on from here'


def run_command(main: Callable[[], None], interrupted: str = _GOES_ON) -> None:
    """Runs a command's `main`, function without arguments that does its work, as `told` does."""
    with told(interrupted):
        main()


@contextlib.contextmanager
def told(interrupted: str = _GOES_ON) -> Iterator[None]:
    """What runs within is a command: a `UserError` is one line on stderr and exit status 2.

    Args:
        interrupted: What to say after Ctrl-C, with exit status 130: what is left of the work.
    """
    try:
        yield
    except UserError as error:
        print('error: ' + ' '.join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f'interrupted: {interrupted}', file=sys.stderr)
        sys.exit(130)
