"""The difficulty of a world: plain CLIP with its best prompt, beside the paper's CLIP row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import build, readers
from cpad_jax.features.store import FeatureStore
from cpad_jax.models.pretrained import CLIPModel, load_clip
from cpad_jax.protocols.compound import queries, table
from cpad_jax.ranking import exact_scores, method, metrics
from cpad_jax.ranking import query as ranking_query
from cpad_jax.report.table import Cell, Table
from cpad_jax.text.prompts import query_text

# `{}` is a query such as 'Orla Brandt hugging someone in a kitchen'.
PROMPTS = ('{}', 'a photo of {}', 'a picture of {}', 'a scene with {}', '{}.', 'here is {}')
METRICS = ('hit@1', 'hit@5')
# Largest distance of a cell of hit@1 or hit@5 from the paper's.
TOLERANCE = 0.08


def measure(config: Any, workdir: Path) -> dict[str, dict[str, Any]]:
    """Evaluates plain CLIP on a world.

    Args:
        config: A configuration with the world in its `data`.
        workdir: Folder of the world and of features.

    Returns:
        Prompt → scenario → `hit@1`, `hit@5`, `num_queries`, `num_people`, `num_relevant` (mean) of
        seen people; and under 'no person' the same for 'a person …'.
    """
    paths = build.ensure(config.data, workdir)
    clips = readers.open_clips(paths)
    clip = load_clip(config.backbone, dtype=config.dtype)
    gallery = FeatureStore.of_run(config, workdir, clip).clips(clips).embeddings
    people = {person['person_id']: person for person in paths.read_people()}
    # All people of clips have reference photos, which queries by text do not read.
    photo = [{'image_id': '', 'source': ''}]
    labels = [ranking_query.labels(clips[number]) for number in range(len(clips))]
    seen = queries.build_queries(
        labels, people, dict.fromkeys(people, photo),
        min_distractors=config.eval.min_distractors, actions=clips.actions, places=clips.places,
    )  # fmt: skip
    seen = [query for query in seen if query.seen]
    cells = {prompt: _evaluate(clip, gallery, seen, prompt, named=True) for prompt in PROMPTS}
    return cells | {'no person': _evaluate(clip, gallery, seen, '{}', named=False)}


def _evaluate(
    clip: CLIPModel,
    gallery: np.ndarray,
    queries: Sequence[ranking_query.Query],
    prompt: str,
    named: bool,
) -> dict[str, dict[str, float]]:
    texts = [
        prompt.format(query_text(q.name if named else None, q.action, q.place, person_token=False))
        for q in queries
    ]
    embedded = np.asarray(clip.encode_text(clip.tokenize(texts), normalize=True))
    values = metrics.query_metrics(
        exact_scores.ranks(embedded, gallery, [q.relevant for q in queries])
    )
    cells = {}
    for scenario in ranking_query.SCENARIOS:
        which = [number for number, query in enumerate(queries) if query.scenario == scenario]
        cells[scenario] = {name: float(values[name][which].mean()) for name in METRICS}
        cells[scenario] |= {
            'num_queries': len(which),
            'num_people': len({queries[number].person_id for number in which}),
            'num_relevant': float(np.mean([len(queries[number].relevant) for number in which])),
        }
    return cells


def best_prompt(cells: Mapping[str, Mapping[str, Any]]) -> str:
    """The prompt with the highest mean hit@1 over the scenarios."""
    return max(PROMPTS, key=lambda prompt: sum(c['hit@1'] for c in cells[prompt].values()))


def render(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """The measurement as text, with the paper's row and the cells too far from it.

    Args:
        measured: As of `measure`.
    """
    best = best_prompt(measured)
    paper = table.PAPER[method.CLIP.key]
    lines = [
        [prompt, *(Cell(cell[name]) for cell in cells.values() for name in METRICS)]
        for prompt, cells in measured.items()
    ]
    lines.append(['the paper', *(Cell(value / 100) for pair in paper for value in pair)])
    notes, far = [], []
    for (scenario, cell), published in zip(measured[best].items(), paper, strict=True):
        notes.append(
            f'{scenario}: {cell["num_queries"]} queries about {cell["num_people"]} people, '
            f'{cell["num_relevant"]:.1f} relevant clips each'
        )
        for name, value in zip(METRICS, published, strict=True):
            distance = cell[name] - value / 100
            if abs(distance) > TOLERANCE:
                far.append(f'{scenario} {name} by {distance:+.3f}')
    notes.append(
        f'best prompt {best!r}: '
        + (f'further than {TOLERANCE} from the paper: {", ".join(far)}' if far else
           f'every cell lies within {TOLERANCE} of the paper')
    )  # fmt: skip
    scenarios = ranking_query.SCENARIOS
    return Table(
        'CLIP by prompt, seen people', ['prompt', *METRICS * len(scenarios)], lines,
        headings=[[('', 1), *((scenario, len(METRICS)) for scenario in scenarios)]], notes=notes,
    ).text()  # fmt: skip
