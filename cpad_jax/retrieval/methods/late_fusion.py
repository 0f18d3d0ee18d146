"""Late fusion: plain CLIP says what is done and where, faces say who is there, each on its own.

As in the instance search of TRECVID, a score for the person and one for the action are added up;
no text speaks of both. Who is alike to whom, CLIP-PAD's adapter says: see `face_match`; and what is
done is said as against all else that could be: see `word_bank`.
"""

from __future__ import annotations

from cpad_jax.retrieval import queries
from cpad_jax.retrieval.methods.fusion import Faces, Fused
from cpad_jax.retrieval.methods.setting import Setting


def make(setting: Setting) -> Fused:
    """The row."""
    weights = (1.0, setting.config.eval.late_fusion.faces)
    return Fused(queries.LATE_FUSION, (setting.words, Faces(setting.faces)), weights)
