"""CLIP-PAD and faces: its own score of a clip, with late fusion's two parts added to it.

CLIP-PAD sees whether a person does something somewhere in one look at the whole picture, in which
faces are small. Faces, looked at from near, say more surely who is there, and 'a person hugging
someone' more surely what is done: in one text, the person is much of what is said.
"""

from __future__ import annotations

from cpad_jax.retrieval import queries
from cpad_jax.retrieval.methods.fusion import Faces, Fused, Text
from cpad_jax.retrieval.methods.setting import Setting

NAMED = queries.Method(f'{queries.WITH_FACES.name}, name', queries.TEXT_IMAGE)


def make(setting: Setting) -> Fused:
    """The row that is asked by photos."""
    return _fused(setting, queries.WITH_FACES, queries.PAD_IMAGE)


def make_named(setting: Setting) -> Fused:
    """The row that is asked by name and photos; faces know no name."""
    return _fused(setting, NAMED, queries.PAD_TEXT_IMAGE)


def _fused(setting: Setting, method: queries.Method, asked_as: queries.Method) -> Fused:
    options = setting.config.eval.with_faces
    text = Text(setting.encoder, asked_as, setting.gallery)
    parts = (text, setting.words, Faces(setting.faces))
    return Fused(method, parts, (1.0, options.words, options.faces))
