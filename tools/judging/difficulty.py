"""How hard a world is for plain CLIP, by its best prompt, beside the paper's CLIP row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import build, readers
from cpad_jax.features import store
from cpad_jax.models.pretrained import load_clip
from cpad_jax.protocols.compound import queries, table
from cpad_jax.ranking import exact_scores, galleries, method, metrics
from cpad_jax.ranking import query as ranking_query
from cpad_jax.text.prompts import query_text

# `{}` is a query such as 'Orla Brandt hugging someone in a kitchen'.
PROMPTS = ('{}', 'a photo of {}', 'a picture of {}', 'a scene with {}', '{}.', 'here is {}')
# How far a cell of hit@1 or hit@5 may lie from the paper's.
TOLERANCE = 0.08


def measure(config: Any, workdir: Path) -> dict[str, dict[str, Any]]:
    """Asks a world by plain CLIP.

    Args:
        config: A configuration; its `data` says which world.
        workdir: Where the world and the features go.

    Returns:
        Prompt → scenario → `hit@1`, `hit@5`, `num_queries`, `num_people`, `num_relevant` (mean) of
        seen people; and under 'no person' the same for 'a person …'.
    """
    paths = build.ensure(config.data, workdir)
    clips = readers.ClipReader(paths.part('clips'), 'test')
    clip = load_clip(config.backbone, dtype=config.dtype)
    gallery = galleries.embed_galleries(
        clips, f'{paths.fingerprint}/clips/test', clip, store.folder(config, workdir), (),
        frames_per_clip=config.features.frames_per_clip, batch_size=config.features.batch_size,
        dtype=config.dtype, seed=config.seed,
    )[None]  # fmt: skip
    people = {person['person_id']: person for person in paths.read_people()}
    # Whoever is in a clip has reference photos; which ones does not matter to words.
    photo = [{'image_id': '', 'source': ''}]
    labels = [ranking_query.labels(clips[number]) for number in range(len(clips))]
    asked = queries.build_queries(
        labels, people, dict.fromkeys(people, photo),
        min_distractors=config.eval.min_distractors, actions=clips.actions, places=clips.places,
    )  # fmt: skip
    asked = [query for query in asked if query.seen]
    found = {prompt: _ask(clip, gallery, asked, prompt, named=True) for prompt in PROMPTS}
    return found | {'no person': _ask(clip, gallery, asked, '{}', named=False)}


def _ask(
    clip: Any, gallery: np.ndarray, asked: Sequence[ranking_query.Query], prompt: str, named: bool
) -> dict[str, dict[str, float]]:
    texts = [
        prompt.format(query_text(q.name if named else None, q.action, q.place, person_token=False))
        for q in asked
    ]
    embedded = np.asarray(clip.encode_text(clip.tokenize(texts), normalize=True))
    values = metrics.query_metrics(
        exact_scores.ranks(embedded, gallery, [q.relevant for q in asked])
    )
    cells = {}
    for scenario in ranking_query.SCENARIOS:
        which = [number for number, query in enumerate(asked) if query.scenario == scenario]
        cells[scenario] = {name: float(values[name][which].mean()) for name in ('hit@1', 'hit@5')}
        cells[scenario] |= {
            'num_queries': len(which),
            'num_people': len({asked[number].person_id for number in which}),
            'num_relevant': float(np.mean([len(asked[number].relevant) for number in which])),
        }
    return cells


def best_prompt(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The prompt with the highest mean hit@1 over the scenarios."""
    return max(PROMPTS, key=lambda prompt: sum(cell['hit@1'] for cell in found[prompt].values()))


def render(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The measurement as text, with the paper's row and what lies too far from it."""
    best = best_prompt(found)
    lines = [f'CLIP by prompt, hit@1 / hit@5 of seen people: {", ".join(ranking_query.SCENARIOS)}']
    for prompt, cells in found.items():
        numbers = '   '.join(f'{c["hit@1"]:.3f} / {c["hit@5"]:.3f}' for c in cells.values())
        lines.append(f'  {prompt:<16} {numbers}')
    paper = table.PAPER[method.CLIP.key]
    numbers = '   '.join(f'{a / 100:.3f} / {b / 100:.3f}' for a, b in paper)
    lines.append(f'  {"the paper":<16} {numbers}')
    far = []
    for (scenario, cell), (at_1, at_5) in zip(found[best].items(), paper, strict=True):
        lines.append(
            f'{scenario}: {cell["num_queries"]} queries about {cell["num_people"]} people, '
            f'{cell["num_relevant"]:.1f} right clips each'
        )
        for name, theirs in (('hit@1', at_1 / 100), ('hit@5', at_5 / 100)):
            if abs(cell[name] - theirs) > TOLERANCE:
                far.append(f'{scenario} {name} by {cell[name] - theirs:+.3f}')
    lines.append(
        f'best prompt {best!r}: '
        + (f'further than {TOLERANCE} from the paper: {", ".join(far)}' if far else
           f'every cell lies within {TOLERANCE} of the paper')
    )  # fmt: skip
    return '\n'.join(lines)
