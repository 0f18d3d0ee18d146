"""Late fusion: plain CLIP says what is done and where, faces say who is there, each on its own.

As in the instance search of TRECVID, a score for the person and one for the action are added up;
no text speaks of both. Who is alike to whom is said by CLIP-PAD's adapter and photos (see
`face_match`) or, as 'CLIP + faces', by plain CLIP and the name (see `clip_name_on_faces`); and what
is done is said as against all else that could be: see `word_bank`.
"""

from __future__ import annotations

from cpad_jax.methods import querybank
from cpad_jax.methods.clip_name_on_faces import NameMatch
from cpad_jax.methods.context import Setting
from cpad_jax.methods.fusion import Faces, Fused
from cpad_jax.ranking import method


def make(setting: Setting) -> Fused:
    """The row that is asked by photos."""
    weights = (1.0, setting.config.eval.late_fusion.faces)
    return Fused(method.LATE_FUSION, (setting.words, Faces(setting.faces)), weights)


def make_closed(setting: Setting) -> Fused:
    """The same with the closed bank of words."""
    parts = (setting.word_bank(querybank.CLOSED), Faces(setting.faces))
    weights = (1.0, setting.config.eval.late_fusion_closed.faces)
    return Fused(method.LATE_FUSION_CLOSED, parts, weights)


def make_detected(setting: Setting) -> Fused:
    """The same with faces that a detector finds."""
    weights = (1.0, setting.config.eval.late_fusion.faces)
    parts = (setting.words, Faces(setting.detected_faces))
    return Fused(method.LATE_FUSION_DETECTED, parts, weights)


def make_by_name(setting: Setting) -> Fused:
    """The row by plain CLIP and the name."""
    match = NameMatch(setting.model.clip, setting.face_tracks)
    weights = (1.0, setting.config.eval.clip_name_on_faces.faces)
    return Fused(method.CLIP_FACES, (setting.words, Faces(match)), weights)


def make_by_name_closed(setting: Setting) -> Fused:
    """The same with the closed bank of words."""
    match = NameMatch(setting.model.clip, setting.face_tracks)
    parts = (setting.word_bank(querybank.CLOSED), Faces(match))
    weights = (1.0, setting.config.eval.clip_name_on_faces_closed.faces)
    return Fused(method.CLIP_FACES_CLOSED, parts, weights)


def make_by_name_detected(setting: Setting) -> Fused:
    """The same with faces that a detector finds."""
    match = NameMatch(setting.model.clip, setting.detected_tracks)
    weights = (1.0, setting.config.eval.clip_name_on_faces.faces)
    return Fused(method.CLIP_FACES_DETECTED, (setting.words, Faces(match)), weights)
