"""The further methods by the names that `config.eval.methods` gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cpad_jax.errors import UserError
from cpad_jax.retrieval.methods import (
    class_word,
    id_clip,
    late_fusion,
    pic2word,
    polar,
    textual_inversion,
    with_faces,
)
from cpad_jax.retrieval.methods.setting import Setting
from cpad_jax.retrieval.scorers import Scorer

MAKERS: Mapping[str, Callable[[Setting], Scorer]] = {
    'class_word': class_word.make,
    'palavra': textual_inversion.make,
    'polar': polar.make,
    'pic2word': pic2word.make,
    'id_clip': id_clip.make,
    'late_fusion': late_fusion.make,
    'with_faces': with_faces.make,
    'with_faces_and_name': with_faces.make_named,
}


def check(names: Sequence[str]) -> None:
    """Says so, rather now than after the gallery was embedded, where a method is unknown.

    Raises:
        UserError: It is.
    """
    for name in names:
        if name not in MAKERS:
            raise UserError(
                f'config.eval.methods names {name!r}, expected some of {", ".join(MAKERS)}'
            )


def make(names: Sequence[str], setting: Setting) -> tuple[Scorer, ...]:
    """A row of the table for each name."""
    return tuple(MAKERS[name](setting) for name in names)
