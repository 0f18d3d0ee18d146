"""CLIP-PAD and faces: its own score of a clip, with late fusion's two parts added to it.

CLIP-PAD sees whether a person does something somewhere in one look at the whole picture, in which
faces are small. Faces, looked at from near, say more surely who is there, and 'a person hugging
someone' more surely what is done: in one text, the person is much of what is said.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from cpad_jax.methods import querybank
from cpad_jax.methods.context import Setting
from cpad_jax.methods.fusion import Faces, Fused, Text
from cpad_jax.ranking.method import (
    PAD_IMAGE,
    PAD_TEXT_IMAGE,
    TEXT_IMAGE,
    WITH_FACES,
    WITH_FACES_CLOSED,
    WITH_FACES_DETECTED,
    Method,
)

NAMED = Method(f'{WITH_FACES.name}, name', TEXT_IMAGE)


def make(setting: Setting) -> Fused:
    """The row that is asked by photos."""
    options = setting.config.eval.with_faces
    return _fused(setting, WITH_FACES, PAD_IMAGE, setting.words, options)


def make_named(setting: Setting) -> Fused:
    """The row that is asked by name and photos; faces know no name."""
    options = setting.config.eval.with_faces
    return _fused(setting, NAMED, PAD_TEXT_IMAGE, setting.words, options)


def make_closed(setting: Setting) -> Fused:
    """The row that is asked by photos, with the closed bank of words."""
    bank, options = setting.word_bank(querybank.CLOSED), setting.config.eval.with_faces_closed
    return _fused(setting, WITH_FACES_CLOSED, PAD_IMAGE, bank, options)


def make_detected(setting: Setting) -> Fused:
    """The row that is asked by photos, with faces that a detector finds."""
    options = setting.config.eval.with_faces
    row = _fused(
        setting,
        WITH_FACES_DETECTED,
        PAD_IMAGE,
        setting.words,
        options,
    )
    return dataclasses.replace(row, parts=(*row.parts[:2], Faces(setting.detected_faces)))


def _fused(
    setting: Setting,
    method: Method,
    asked_as: Method,
    bank: querybank.QueryBank,
    options: Any,
) -> Fused:
    text = Text(setting.encoder, asked_as, setting.gallery)
    parts = (text, bank, Faces(setting.faces))
    return Fused(method, parts, (1.0, options.words, options.faces))
