"""One kind of error for everything a user can mend, and how commands read and print."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

_STDOUT = 1  # As the system numbers it, whatever `sys.stdout` is.

# What `run_command` says of commands that take nothing up.
STARTS_ANEW = 'nothing is kept; the same command starts from the beginning'


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


def numbers(text: str) -> tuple[int, ...]:
    """The whole numbers of an argument such as '20,48,32', as a `type` of `CommandParser`."""
    try:
        return tuple(int(number) for number in text.split(','))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is no list such as 20,48,32') from None


_GOES_ON = 'run the same command again to go on from here'


def run_command(main: Callable[[], None], interrupted: str = _GOES_ON) -> None:
    """Runs a command's `main`, function without arguments that does its work, as `told` does."""
    with told(interrupted):
        main()


@contextlib.contextmanager
def told(interrupted: str = _GOES_ON) -> Iterator[None]:
    """What runs within is a command: a `UserError` is one line on stderr and exit status 2.

    Where whoever reads stdout stops reading, as `| head -1` does, the command ends without a word
    and with exit status 141, as one does that the signal SIGPIPE ends.

    Args:
        interrupted: What to say after Ctrl-C, with exit status 130: what is left of the work.
    """
    try:
        try:
            yield
        except SystemExit:  # As after --help.
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except BrokenPipeError:
        if not _is_unread(_STDOUT):
            raise  # It was another pipe, such as one to a process of ours.
        # Python would write the rest as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
        sys.exit(141)
    except UserError as error:
        print('error: ' + ' '.join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f'interrupted: {interrupted}', file=sys.stderr)
        sys.exit(130)


def _is_unread(pipe: int) -> bool:
    """Whether nobody has the other end of a pipe, by its file descriptor, open any more."""
    poll = select.poll()
    poll.register(pipe, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
