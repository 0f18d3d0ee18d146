"""Ablations: the same training with one change at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cpad_jax.ranking import method, rows
from cpad_jax.ranking.query import SCENARIOS
from cpad_jax.report.table import Cell, Table
from tools.judging.report import FORMS, SAMPLES, SEED, Ranked

DEFAULT = 'as it is'  # Also a folder's name, as are all variants.
# The training of all of them, the default too: a fifteenth of the benchmark's queries.
SHORT = {'train.steps': '400', 'train.people_per_batch': '32'}
# Name → overridden keys.
VARIANTS: dict[str, dict[str, str]] = {
    DEFAULT: {},
    'no composition loss': {'train.loss.composition': '0', 'train.loss.composition_length': '0'},
    'no length in the composition loss': {'train.loss.composition_length': '0'},
    'no agreement loss': {'train.loss.cross_form_consistency': '0'},
    'plain CLIP teaches no names': {'train.loss.name_distillation': '0'},
    'identity loss alone': {
        'train.loss.name_distillation': '0',
        'train.loss.composition': '0',
        'train.loss.composition_length': '0',
        'train.loss.cross_form_consistency': '0',
    },
    'adapter of one layer': {'model.adapter_layers': '0'},
    'adapter of three layers': {'model.adapter_layers': '2'},
    'two tokens': {'model.num_tokens': '2'},
    'names in the update alone': {'model.name_width': '0'},
    'name adapter of width 256': {'model.name_width': '256'},
    'no text form in training': {'train.forms.text': '0'},
    'no update of the text tower': {'model.rank': '0'},
    'update of rank 4': {'model.rank': '4'},
    'update of rank 64': {'model.rank': '64'},
    'five visual prompts': {'model.visual_prompts': '5'},
    'faces read by another CLIP': {'features.face': 'ViT-cast-16'},
    'colour histogram for the face': {'features.face': 'colour_histogram'},
    'one frame a clip': {'features.frames_per_clip': '1'},
    'eight frames a clip': {'features.frames_per_clip': '8'},
}


def pooled(worlds: Sequence[Ranked], form: method.Method) -> tuple[np.ndarray, np.ndarray]:
    """hit@1 of all queries about seen people, and their people, over all worlds."""
    hits = [world.hits[form.key]['hit@1'][world.seen] for world in worlds]
    return np.concatenate(hits), np.concatenate([world.person[world.seen] for world in worlds])


def render(ranked: Mapping[str, Sequence[Ranked]]) -> Table:
    """The table of variants.

    Args:
        ranked: Variant → the evaluation on each world, `DEFAULT` among them.

    Returns:
        hit@1 of seen people over all scenarios and worlds, and the paired difference to the default
        with its 95 % interval.
    """
    lines = []
    for variant, worlds in ranked.items():
        cells: list[str | Cell] = [variant]
        for form in FORMS:
            hits, people = pooled(worlds, form)
            default, _ = pooled(ranked[DEFAULT], form)
            change = rows.difference(hits, default, people, SAMPLES, SEED)
            cells.append(Cell(float(hits.mean())))
            cells.append(
                Cell(change['difference'], change['low'], change['high'], '+.3f')
                if variant != DEFAULT
                else Cell(None)
            )
        lines.append(cells)
    return Table(
        f'hit@1 of seen people over {", ".join(SCENARIOS)} and all worlds, and the difference to '
        'the default [95 % interval]',
        ['', *('hit@1', 'difference') * len(FORMS)],
        lines,
        headings=[[('', 1), *((form.person_query, 2) for form in FORMS)]],
    )
