"""Set-up of the process of a command: output on the terminal, compilation cache on disk."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path

from cpad_jax.printable import say


def silence_logs() -> None:
    """Keeps what TensorFlow, absl and JAX say about themselves off the user's terminal.

    Call it before any of them is imported.
    """
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')  # Or it announces them on stderr.
    os.environ.setdefault('GRPC_VERBOSITY', 'ERROR')
    logging.getLogger('absl').setLevel(logging.ERROR)
    warnings.filterwarnings('ignore', category=DeprecationWarning)


def keep_compiled(workdir: Path) -> None:
    """Lets JAX keep what it compiles in `WORKDIR/xla_cache`: a second run starts at once.

    A folder that the environment variable JAX_COMPILATION_CACHE_DIR names is used instead.
    """
    import jax

    if os.environ.get('JAX_COMPILATION_CACHE_DIR'):
        return
    jax.config.update('jax_compilation_cache_dir', str(workdir / 'xla_cache'))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.3)


def stage(number: int, total: int, what: str) -> None:
    """Prints on stderr which stage begins, e.g. `2/5 learning`."""
    say(f'{number}/{total} {what}', sys.stderr)
