"""One kind of error for everything a user can mend, and how commands read and print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
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


def run_command(
    main: Callable[[], None], interrupted: str = 'run the same command again to go on from here'
) -> None:
    """Runs a command's `main`; a `UserError` becomes one line on stderr and exit status 2.

    Args:
        main: Function without arguments that does the command's work.
        interrupted: What to say after Ctrl-C, with exit status 130: what is left of the work.
    """
    try:
        main()
    except UserError as error:
        print('error: ' + ' '.join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f'interrupted: {interrupted}', file=sys.stderr)
        sys.exit(130)
