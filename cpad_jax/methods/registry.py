"""The table of methods: every row that ranks a gallery, by its name in a configuration."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Mapping, Sequence

from cpad_jax.data import detected_faces
from cpad_jax.errors import UserError
from cpad_jax.methods import (
    class_word,
    clip,
    clip_pad,
    fusion,
    id_clip,
    palavra,
    pic2word,
    polar,
)
from cpad_jax.methods.ce import scorer as ce_scorer
from cpad_jax.methods.context import EvalContext
from cpad_jax.ranking import method
from cpad_jax.ranking.method import Method
from cpad_jax.ranking.scorers import Scorer


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        method: Its name and the form of its queries.
        make: Makes the scorer of an evaluation.
        detected: Whether it needs a face detector.
    """

    method: Method
    make: Callable[[EvalContext], Scorer]
    detected: bool = False


def _clip_pad(row: Method) -> Row:
    return Row(row, functools.partial(clip_pad.make, row))


# The rows of the paper, which every evaluation has as far as its models allow.
PAPER: Mapping[str, Row] = {
    'ce': Row(method.CE, ce_scorer.make),
    'clip': Row(method.CLIP, clip.make),
    'clip_pad_text': _clip_pad(method.PAD_TEXT),
    'clip_pad_memory': _clip_pad(method.PAD_MEMORY),
    'clip_pad_image': _clip_pad(method.PAD_IMAGE),
    'clip_pad_text_image': _clip_pad(method.PAD_TEXT_IMAGE),
}
# Rows that `config.eval.methods` adds.
FURTHER: Mapping[str, Row] = {
    'class_word': Row(class_word.METHOD, class_word.make),
    'palavra': Row(palavra.METHOD, palavra.make),
    'polar': Row(polar.METHOD, polar.make),
    'pic2word': Row(pic2word.METHOD, pic2word.make),
    'id_clip': Row(id_clip.METHOD, id_clip.make),
    **{name: Row(row.method, row.make, row.detected) for name, row in fusion.ROWS.items()},
}
METHODS: Mapping[str, Row] = {**PAPER, **FURTHER}


def rows(names: Sequence[str]) -> tuple[Method, ...]:
    """The rows of some methods.

    Args:
        names: As in `config.eval.methods`.

    Raises:
        UserError: One is unknown.
    """
    for name in names:
        if name not in FURTHER:
            raise UserError(
                f'config.eval.methods names {name!r}, expected some of {", ".join(FURTHER)}'
            )
    return tuple(FURTHER[name].method for name in names)


def paper_rows(context: EvalContext) -> tuple[str, ...]:
    """Names of the rows of the paper that the models of an evaluation allow."""
    allowed = set(context.encoder.methods)
    if context.config.eval.ce:
        allowed.add(method.CE)
    return tuple(name for name, row in PAPER.items() if row.method in allowed)


def possible(names: Sequence[str]) -> tuple[str, ...]:
    """Those of some methods that can run here: without a face detector, none that needs one.

    One line of standard error names what is left out.
    """
    wanted = [name for name in names if METHODS[name].detected]
    why = detected_faces.missing() if wanted else None
    if why is None:
        return tuple(names)
    print(f'left out: {", ".join(wanted)}, which detect faces: {why}', file=sys.stderr)
    return tuple(name for name in names if name not in wanted)


def make(names: Sequence[str], context: EvalContext) -> tuple[Scorer, ...]:
    """The scorer of each name."""
    return tuple(METHODS[name].make(context) for name in names)
