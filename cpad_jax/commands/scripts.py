"""The console scripts. Each imports its command when errors and signals are handled already.

`python -m cpad_jax.train`, `python -m cpad_jax.eval` and the scripts in `tools/` run the same.
"""

from __future__ import annotations

from cpad_jax.errors import STARTS_ANEW, cli_errors

# What an interrupted build of a data set keeps.
_BUILD_KEEPS = (
    'run the same command again: clips that were decoded or filmed are kept, photos and faces '
    'start anew'
)


def train() -> None:
    """`cpad-train`: trains a model and evaluates it."""
    with cli_errors():
        from cpad_jax import train as command

        command.main()


def evaluate() -> None:
    """`cpad-eval`: evaluates what was trained."""
    with cli_errors():
        from cpad_jax import eval as command

        command.main()


def convert() -> None:
    """`cpad-convert`: converts weights of open_clip, and back."""
    with cli_errors(STARTS_ANEW):
        from cpad_jax.commands import convert as command

        command.main()


def find() -> None:
    """`cpad-find`: finds a person in videos."""
    with cli_errors(STARTS_ANEW):
        from cpad_jax.commands import find_person as command

        command.main()


def label() -> None:
    """`cpad-label`: labels the people of a movie or show."""
    with cli_errors():
        from cpad_jax.commands import label_title as command

        command.main()


def build_dataset() -> None:
    """`cpad-build-dataset`: builds a data set."""
    with cli_errors(_BUILD_KEEPS):
        from cpad_jax.commands import build_dataset as command

        command.main()
