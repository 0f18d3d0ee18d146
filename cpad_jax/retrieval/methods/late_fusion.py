"""Late fusion: plain CLIP says what is done and where, faces say who is there, each on its own.

As in the instance search of TRECVID, a score for the person and one for the action are added up;
no text speaks of both. Who is alike to whom, CLIP-PAD's adapter says: see `face_match`.
"""

from __future__ import annotations

from cpad_jax.retrieval import queries
from cpad_jax.retrieval.methods.fusion import Fused
from cpad_jax.retrieval.methods.setting import Setting


def make(setting: Setting) -> Fused:
    """The row."""
    texts, weight = {queries.NO_PERSON: 1.0}, setting.config.eval.late_fusion.faces
    return Fused(
        queries.LATE_FUSION, setting.encoder, setting.plain_gallery, texts, setting.faces, weight
    )
