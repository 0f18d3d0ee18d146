"""What each part of CLIP-PAD is worth: the same learning with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cpad_jax.ranking import bootstrap, method
from cpad_jax.ranking.query import SCENARIOS
from tools.judging.report import FORMS, SAMPLES, SEED, Ranked

DEFAULT = 'as it is'
# All of them learn so, the default too: from a fifteenth of the benchmark's queries.
SHORT = {'train.steps': '400', 'train.people_per_batch': '32'}
# Name → what is overridden.
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
    """hit@1 of all queries about seen people, and whom they are about, over all worlds."""
    hits = [world.hits[form.key]['hit@1'][world.seen] for world in worlds]
    return np.concatenate(hits), np.concatenate([world.person[world.seen] for world in worlds])


def render(found: Mapping[str, Sequence[Ranked]]) -> str:
    """The table.

    Args:
        found: Variant → what came out on each world, `DEFAULT` among them.

    Returns:
        hit@1 of seen people over all scenarios and worlds, and the paired difference to the default
        with its 95 % interval.
    """
    lines = [
        f'hit@1 of seen people over {", ".join(SCENARIOS)} and all worlds; difference to the '
        'default, 95 % interval'
    ]
    for variant, worlds in found.items():
        cells = []
        for form in FORMS:
            hits, people = pooled(worlds, form)
            cell = f'{form.person_query} {hits.mean():.3f}'
            if variant != DEFAULT:
                other, _ = pooled(found[DEFAULT], form)
                change = bootstrap.paired_difference(hits, other, people, SAMPLES, SEED)
                cell += (
                    f' {change["difference"]:+.3f} [{change["low"]:+.3f}, {change["high"]:+.3f}]'
                )
            cells.append(cell)
        lines.append(f'  {variant:<34} ' + '   '.join(cells))
    return '\n'.join(lines)
