"""One kind of error for everything a user can mend, and how commands read and print."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import re
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from cpad_jax import extras, interruption, standard_streams
from cpad_jax.printable import say, shortened

_STDOUT = 1  # As the system numbers it, whatever `sys.stdout` is.

# What `run_command` says of commands that take nothing up.
STARTS_ANEW = 'nothing is kept; the same command starts from the beginning'


class UserError(Exception):
    """Something the user can put right.

    The message is one line of fewer than 400 characters: what was wrong, where (file, line or key),
    what was expected, and what to do about it. A longer one, which quotes a file, loses its middle.
    """

    def __init__(self, message: str = ''):
        """Takes the message, in which line breaks are no more than spaces."""
        super().__init__(shortened(' '.join(str(message).split())))


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
    """A path of a command line, as a `type` of argparse; `~` is the home folder.

    An empty one would be the folder it is in.

    Raises:
        argparse.ArgumentTypeError: It is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError(
            f'expected a path, got {text!r}; is a variable of the shell not set?'
        )
    return expanded(text)


def expanded(text: str | os.PathLike[str]) -> Path:
    """A path with the home folder in place of `~`, which no shell puts into `--option=~/x`.

    Raises:
        UserError: There is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(
            f'{text}: there is no such user; for a file of that name give ./{text}'
        ) from None


def numbers(text: str) -> tuple[int, ...]:
    """The whole numbers of an argument such as '20,48,32', as a `type` of `CommandParser`."""
    try:
        return tuple(int(number) for number in text.split(','))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is no list such as 20,48,32') from None


_GOES_ON = 'run the same command again to go on from here'


def require_training() -> None:
    """Makes sure, before any work, that what training needs is installed.

    Raises:
        UserError: Packages of the extra `train` are missing; they are named.
    """
    if missing := extras.missing_for_training():
        raise UserError(missing)


def run_command(main: Callable[[], None], interrupted: str = _GOES_ON) -> None:
    """Runs a command's `main`, function without arguments that does its work, as `told` does."""
    with cli_errors(interrupted):
        main()


@contextlib.contextmanager
def cli_errors(interrupted: str = _GOES_ON) -> Iterator[None]:
    """What runs within is a command: a `UserError` is one line on stderr and exit status 2.

    So is what the system refuses, such as a full disk, a folder that is read-only, or memory. Where
    whoever reads stdout stops reading, as `| head -1` does, the command ends without a word and
    with exit status 141, as one does that the signal SIGPIPE ends.

    Args:
        interrupted: What to say after Ctrl-C (exit status 130), SIGTERM (143) or SIGHUP (129): what
            is left of the work.
    """
    standard_streams.prepare()
    with interruption.raised():
        try:
            try:
                yield
            except SystemExit:  # As after --help.
                sys.stdout.flush()
                raise
            sys.stdout.flush()
            if (lost := standard_streams.unwritten()) is not None:
                raise UserError(
                    f'stdout cannot be written to ({lost.strerror}); the results that go to files '
                    'are written: give another place for what is printed'
                )
        except BrokenPipeError:
            if not _is_unread(_STDOUT):
                raise  # It was another pipe, such as one to a process of ours.
            # Python would write the rest as it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
            sys.exit(141)
        except UserError as error:
            _end(f'error: {error}', 2)
        except KeyboardInterrupt as error:
            interruption.end_workers()
            _end(f'interrupted: {interrupted}', getattr(error, 'status', 130))
        except Exception as error:
            if (refused := _refused(error)) is None:
                raise  # A mistake of this program: who reports it needs the traceback.
            _end(f'error: {refused}', 2)


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Adds `path` to errors of the system that name no file."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = os.fspath(path)
        raise


def _end(line: str, status: int) -> NoReturn:
    with contextlib.suppress(OSError):  # The terminal may be closed.
        say(' '.join(line.split()), sys.stderr)
    sys.exit(status)


# What to do about what the system refuses.
_FULL = 'free some space, or give a folder on another disk'
_WRITABLE = 'check the permissions, or give another folder'
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: 'the system limits the size of files (ulimit -f): raise the limit',
    errno.EROFS: 'give a folder that can be written to',
    errno.EACCES: _WRITABLE,
    errno.EPERM: _WRITABLE,
    errno.EIO: 'the disk or the network drive fails: check it',
    errno.ESTALE: 'the network drive has gone: mount it again',
    errno.EMFILE: 'raise the number of open files (ulimit -n)',
    errno.ENFILE: 'raise the number of open files of this system',
    errno.ENAMETOOLONG: 'give a shorter name',
    errno.ENOMEM: 'use fewer processes, or a machine with more memory',
    errno.ENOENT: 'was it moved or deleted while this ran? Run the command again',
    errno.ENOTDIR: 'a file stands where a folder is needed: give another path',
    errno.EISDIR: 'a folder stands where a file is needed: give another path',
    errno.ENOTEMPTY: 'another process writes there: give another folder',
    errno.EEXIST: 'give another path',
    errno.ELOOP: 'a link there leads back to itself: give another path',
    errno.ETXTBSY: 'it is being run: give another path',
}
_REASON = 200  # Characters of what a library says.
_QUOTED_PATH = re.compile(r'"([^"\n]*/[^"\n]*)"')


def _refused(error: BaseException) -> str | None:
    """What the system refused and what to do, in a line; None where it is no refusal."""
    if isinstance(error, ModuleNotFoundError):
        return extras.advice(error)
    if isinstance(error, MemoryError):
        return f'memory ran out: {_ADVICE[errno.ENOMEM]}'
    if isinstance(error, OSError) and not isinstance(error, ConnectionError) and error.errno:
        where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ''
        advice = _ADVICE.get(error.errno, 'check that path')
        return f'{where}{": " if where else ""}{os.strerror(error.errno)}: {advice}'
    # Libraries that write with code of their own say the same in their words.
    text = str(error)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG):
        if os.strerror(number) in text:
            path = _QUOTED_PATH.search(text)
            where = f'{path[1][:_REASON]}: ' if path else ''
            return f'{where}{os.strerror(number)}: {_ADVICE[number]}'
    if 'RESOURCE_EXHAUSTED' in text or 'Out of memory' in text:
        return (
            f'the device has too little memory ({" ".join(text.split())[:_REASON]}): make the '
            'batches of the configuration smaller'
        )
    return None


def _is_unread(pipe: int) -> bool:
    """Whether the other end of a pipe, by its file descriptor, is closed."""
    poll = select.poll()
    poll.register(pipe, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
