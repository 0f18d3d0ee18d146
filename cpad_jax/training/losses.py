"""Losses, computed in float32 whatever the compute dtype of the towers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

Array = jax.Array


def multi_positive(logits: Array, positive: Array) -> Array:
    """Symmetric InfoNCE in which a row may have several positives.

    The target of each row is uniform over its positives, and so is that of each column (Khosla et
    al. 2020, "Supervised Contrastive Learning", their L_out, taken both ways). With one positive
    per row and column it is the loss of CLIP (Radford et al. 2021).

    Args:
        logits: float [B, N].
        positive: bool [B, N]. A row or column without a positive counts nothing.

    Returns:
        Scalar float32 >= 0: the mean of the two directions.
    """
    logits = logits.astype(jnp.float32)
    return 0.5 * (infonce(logits, positive) + infonce(logits.T, positive.T))


def infonce(logits: Array, positive: Array) -> Array:
    """InfoNCE of queries against a gallery, in which a query may have several positives.

    Args:
        logits: float32 [B, N].
        positive: bool [B, N]. A row without a positive counts nothing.

    Returns:
        Scalar float32 >= 0, the mean over rows; the target of each is uniform over its positives.
    """
    log_p = jax.nn.log_softmax(logits, axis=1)
    count = positive.sum(axis=1)
    share = positive / jnp.maximum(count, 1)[:, None]
    return -jnp.sum(share * log_p) / jnp.maximum((count > 0).sum(), 1)


def contrastive(
    queries: Array, gallery: Array, query_labels: Array, gallery_labels: Array, scale: Array | float
) -> Array:
    """Symmetric InfoNCE where everything with the same label is a positive.

    Args:
        queries: float [B, D], L2-normalised.
        gallery: float [N, D], L2-normalised.
        query_labels: int [B], e.g. the person of a query.
        gallery_labels: int [N], e.g. the person in a picture.
        scale: What cosines are multiplied by, 1 / temperature.

    Returns:
        Scalar float32, see `multi_positive`.
    """
    # At a scale of 100 a rounding of 2⁻⁸ in a cosine would be a factor of 1.5 in a probability.
    logits = scale * jnp.matmul(
        queries.astype(jnp.float32), gallery.astype(jnp.float32).T, precision='highest'
    )
    return multi_positive(logits, query_labels[:, None] == gallery_labels[None, :])


def composition(moved: Array, base: Array, reference: Array) -> tuple[Array, Array]:
    """Deviation of "[TOK] running in a park" from the composition of words alone.

    The step from "a photo of [TOK]" to it is compared with the step from "a photo of a person" to
    "a person running in a park", in the joint space.

    Args:
        moved: float [C, D], queries with action or place, L2-normalised.
        base: float [C, D], the same people without, L2-normalised.
        reference: float [C, D], the step of plain CLIP.

    Returns:
        Two scalars float32 >= 0, means over rows: the direction's 1 − cos, and the length's
        squared logarithm of the ratio.
    """
    step = moved.astype(jnp.float32) - base.astype(jnp.float32)
    reference = reference.astype(jnp.float32)
    tiny = 1e-12  # Squared; a step of zero has no direction, and no gradient.
    length = jnp.sqrt(jnp.sum(step * step, axis=-1) + tiny)  # [C]
    wanted = jnp.sqrt(jnp.sum(reference * reference, axis=-1) + tiny)
    cosine = jnp.sum(step * reference, axis=-1) / (length * wanted)
    return jnp.mean(1 - cosine), jnp.mean(jnp.log(length / wanted) ** 2)


def cross_form_consistency(queries: Array, teacher: Array) -> Array:
    """Distance between "NAME [TOK] running" and "[TOK] running" with the token of photos.

    Photos generalise, so they are the teacher: no gradient flows into `teacher`.

    Args:
        queries: float [C, D], L2-normalised.
        teacher: float [C, D], L2-normalised.

    Returns:
        Scalar float32 >= 0: the mean of 1 − cos.
    """
    teacher = jax.lax.stop_gradient(teacher.astype(jnp.float32))
    return jnp.mean(1 - jnp.sum(queries.astype(jnp.float32) * teacher, axis=-1))


def name_distillation(queries: Array, plain: Array, known: Array) -> Array:
    """Distance between "[TOK] running" with the token of photos and plain CLIP's "NAME running".

    CLIP is frozen, so no gradient flows into `plain`.

    Args:
        queries: float [C, D], L2-normalised.
        plain: float [C, D], L2-normalised.
        known: float [C], 1 where CLIP knows the name, else 0.

    Returns:
        Scalar float32 >= 0: the mean of 1 − cos over known names; 0 where there are none.
    """
    plain = jax.lax.stop_gradient(plain.astype(jnp.float32))
    cosine = jnp.sum(queries.astype(jnp.float32) * plain, axis=-1)
    return jnp.sum(known * (1 - cosine)) / jnp.maximum(known.sum(), 1)


def max_margin(scores: Array, relevant: Array, margin: float) -> Array:
    """Bidirectional max-margin ranking loss over a batch (Socher et al. 2014).

    Args:
        scores: float [B, B], queries by clips; the i-th query was drawn from the i-th clip.
        relevant: bool [B, B], which clips are relevant to which queries; those are no negatives.
        margin: By how much the right one is to be above every wrong one, > 0.

    Returns:
        Scalar float32 >= 0: the mean of max(0, margin + wrong − right) over all wrong pairs, once
        against the right clip of the query and once against the right query of the clip.
    """
    scores = scores.astype(jnp.float32)
    right = jnp.diagonal(scores)
    wrong = ~relevant & ~jnp.eye(len(scores), dtype=bool)
    above = jax.nn.relu(margin + scores - right[:, None])
    above += jax.nn.relu(margin + scores - right[None, :])
    return jnp.sum(above * wrong) / jnp.maximum(2 * wrong.sum(), 1)
