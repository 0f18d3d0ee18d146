"""The further methods by the names that `config.eval.methods` gives them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from cpad_jax.data import detected_faces
from cpad_jax.errors import UserError
from cpad_jax.methods import class_word, id_clip, late_fusion, palavra, pic2word, polar, with_faces
from cpad_jax.methods.context import Setting
from cpad_jax.ranking import method
from cpad_jax.ranking.method import Method
from cpad_jax.ranking.scorers import Scorer

# Name → its row of the table, and what makes it.
METHODS: Mapping[str, tuple[Method, Callable[[Setting], Scorer]]] = {
    'class_word': (class_word.METHOD, class_word.make),
    'palavra': (palavra.METHOD, palavra.make),
    'polar': (polar.METHOD, polar.make),
    'pic2word': (pic2word.METHOD, pic2word.make),
    'id_clip': (id_clip.METHOD, id_clip.make),
    'clip_name_on_faces': (method.CLIP_FACES, late_fusion.make_by_name),
    'late_fusion': (method.LATE_FUSION, late_fusion.make),
    'with_faces': (method.WITH_FACES, with_faces.make),
    'with_faces_and_name': (with_faces.NAMED, with_faces.make_named),
    'clip_name_on_faces_closed': (method.CLIP_FACES_CLOSED, late_fusion.make_by_name_closed),
    'late_fusion_closed': (method.LATE_FUSION_CLOSED, late_fusion.make_closed),
    'with_faces_closed': (method.WITH_FACES_CLOSED, with_faces.make_closed),
    'clip_name_on_faces_detected': (method.CLIP_FACES_DETECTED, late_fusion.make_by_name_detected),
    'late_fusion_detected': (method.LATE_FUSION_DETECTED, late_fusion.make_detected),
    'with_faces_detected': (method.WITH_FACES_DETECTED, with_faces.make_detected),
}
# Those that need a face detector.
DETECTED = tuple(name for name in METHODS if name.endswith('_detected'))


def rows(names: Sequence[str]) -> tuple[Method, ...]:
    """The rows of some methods.

    Raises:
        UserError: One is unknown.
    """
    for name in names:
        if name not in METHODS:
            raise UserError(
                f'config.eval.methods names {name!r}, expected some of {", ".join(METHODS)}'
            )
    return tuple(METHODS[name][0] for name in names)


def possible(names: Sequence[str]) -> tuple[str, ...]:
    """Those of some methods that can be had here: without a face detector, none of `DETECTED`.

    One line of standard error says what is left out.
    """
    wanted = [name for name in names if name in DETECTED]
    why = detected_faces.missing() if wanted else None
    if why is None:
        return tuple(names)
    print(f'left out: {", ".join(wanted)}, which find faces themselves: {why}', file=sys.stderr)
    return tuple(name for name in names if name not in DETECTED)


def make(names: Sequence[str], setting: Setting) -> tuple[Scorer, ...]:
    """What ranks clips, for each name."""
    return tuple(METHODS[name][1](setting) for name in names)
