"""One kind of error for everything a user can mend, and how the command line prints it."""

from __future__ import annotations

import sys
from collections.abc import Callable


class UserError(Exception):
    """Something the user can put right.

    The message is one line: what was wrong, where (file, line or key), what was expected, and what
    to do about it.
    """


def run_command(main: Callable[[], None]) -> None:
    """Runs a command's `main`; a `UserError` becomes one line on stderr and exit status 2.

    Args:
        main: Function without arguments that does the command's work.
    """
    try:
        main()
    except UserError as error:
        print('error: ' + ' '.join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('interrupted: run the same command again to go on from here', file=sys.stderr)
        sys.exit(130)
