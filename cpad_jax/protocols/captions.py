"""Searches clips by captions: named instances, and what is to be seen of them.

The evaluation of This-Is-My (Yeh et al., CVPR 2023). "Named instance" asks for somebody, or for
something, alone, and all clips that show it are right; "caption" asks for the one clip that a
caption is about. Photos that say what is meant never come from a video of the gallery.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax import atomic
from cpad_jax.data import build, readers
from cpad_jax.data.this_is_my import INSTANCE
from cpad_jax.errors import UserError
from cpad_jax.features import store
from cpad_jax.models import clip_pad_api
from cpad_jax.printable import say
from cpad_jax.protocols.season import evaluate as season_evaluate
from cpad_jax.protocols.season import search as season_search
from cpad_jax.protocols.season.search import Condition
from cpad_jax.ranking import bootstrap, exact_scores, galleries, metrics
from cpad_jax.ranking import query as ranking_query
from cpad_jax.ranking import references as ranking_references
from cpad_jax.ranking import rows as ranking_rows
from cpad_jax.text.prompts import PERSON_TOKEN

NAMED, CAPTION = 'named instance', 'caption'
METRICS = ('mrr', 'hit@5', 'map')
_HEADS = ('MRR', 'hit@5', 'mAP')


@dataclasses.dataclass(frozen=True)
class CaptionQuery:
    """A query in words with '*' for what it asks for.

    Attributes:
        query_id: Unique and readable.
        scenario: `NAMED` or `CAPTION`.
        person_id: What is asked for.
        name: Its name.
        category: What stands for it where it is not named, such as 'dog'.
        caption: With '*' for it.
        relevant: Numbers of the clips that answer.
    """

    query_id: str
    scenario: str
    person_id: str
    name: str
    category: str
    caption: str
    relevant: tuple[int, ...]

    def text(self, named: bool, person_token: bool) -> str:
        """For instance "Zak's dog coffee [TOK] is eating", or 'dog is eating'."""
        words = [self.name] * named + [PERSON_TOKEN] * person_token or [self.category]
        return self.caption.replace(INSTANCE, ' '.join(words))


def build_queries(
    clips: Sequence[Mapping[str, Any]],
    people: Sequence[Mapping[str, Any]],
    captions: Sequence[Mapping[str, str]],
    categories: Mapping[str, str],
    named: str,
) -> list[CaptionQuery]:
    """Every instance alone, and every caption.

    Args:
        clips: Records of the `clips` schema without need of `frames`.
        people: Entries of the table of people.
        captions: As `ClipReader.captions`.
        categories: As `ClipReader.categories`.
        named: How an instance is asked for alone, with '*' for it.

    Returns:
        Named instances that clips show, then captions, in their orders.
    """
    names = {person['person_id']: person['name'] for person in people}
    numbers = {clip['clip_id']: number for number, clip in enumerate(clips)}
    shown: dict[str, list[int]] = {}
    for number, clip in enumerate(clips):
        for person in clip['people']:
            shown.setdefault(person['person_id'], []).append(number)
    asked = [
        (f'{NAMED}/{person_id}', NAMED, person_id, named, tuple(shown[person_id]))
        for person_id in names
        if person_id in shown
    ]
    # A clip that could not be read has no number.
    asked += [
        (f'{CAPTION}/{c["person_id"]}/{c["clip_id"]}', CAPTION, c['person_id'], c['caption'],
         (numbers[c['clip_id']],))
        for c in captions if c['clip_id'] in numbers
    ]  # fmt: skip
    return [
        CaptionQuery(query_id, scenario, who, names[who], categories[who], caption, relevant)
        for query_id, scenario, who, caption, relevant in asked
    ]


def search(
    model: clip_pad_api.PersonalizedCLIP,
    gallery: np.ndarray,
    asked: Sequence[CaptionQuery],
    conditions: Sequence[Condition],
) -> dict[str, list[np.ndarray]]:
    """`Condition.key` → for each query the ranks of its right clips, ascending.

    Args:
        model: Embeds the queries.
        gallery: float32 [N, D].
        asked: Q queries.
        conditions: Ways to ask.
    """
    relevant = [query.relevant for query in asked]
    return {
        one.key: exact_scores.ranks(season_search.encode(model, one, asked), gallery, relevant)
        for one in conditions
    }


def result_rows(
    asked: Sequence[CaptionQuery],
    conditions: Sequence[Condition],
    ranks: Mapping[str, Sequence[np.ndarray]],
    facts: Mapping[str, Any],
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The flat rows of `captioned.json`.

    Args:
        asked: Q queries.
        conditions: Ways to ask.
        ranks: As `search` gives them.
        facts: What is the same in every row.
        samples: Bootstrap draws; instances are what is drawn.
        seed: Seed of the draws.
    """
    person = np.array([query.person_id for query in asked])
    scenario = np.array([query.scenario for query in asked])
    found = []
    for kind in dict.fromkeys(scenario.tolist()):
        which = np.flatnonzero(scenario == kind)
        draws = bootstrap.PersonBootstrap(person[which], samples, seed)
        for one in conditions:
            values = metrics.query_metrics([ranks[one.key][number] for number in which])
            row = {
                **facts, 'scenario': kind, 'method': one.method.name,
                'person_query': one.method.person_query, 'control': one.method.control,
                'fine_tuned': one.fine_tuned, 'num_queries': len(which),
                'num_people': len(set(person[which])),
            }  # fmt: skip
            found.append(row | ranking_rows.with_bounds({n: values[n] for n in METRICS}, draws))
    return found


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as text, in percent."""
    lines = []
    for kind in dict.fromkeys(row['scenario'] for row in rows):
        own = [row for row in rows if row['scenario'] == kind]
        head = f'{kind}: {own[0]["num_queries"]} queries, {own[0]["num_clips"]} clips'
        lines += ['', f'{head:<50}' + ''.join(f'{name:>16}' for name in _HEADS)]
        for row in own:
            label = f'{row["method"]}, {row["control"] or row["person_query"]}'
            label += ', fine-tuned' if row['fine_tuned'] else ''
            lines.append(f'{label:<50}' + ''.join(f'{_cell(row, n):>16}' for n in METRICS))
    return '\n'.join([*lines, '', 'In percent, ± half of the 95 % interval (instances drawn anew)'])


def _cell(row: Mapping[str, Any], name: str) -> str:
    text, low, high = f'{100 * row[name]:.1f}', row[f'{name}_low'], row[f'{name}_high']
    return text if low is None else f'{text}±{50 * (high - low):.1f}'


def evaluate(workdir: Path, config: Any) -> list[dict[str, Any]]:
    """Searches with the model in a workdir, prints the table and writes `captioned.json`.

    Args:
        workdir: Of a finished identity learning.
        config: The configuration; `eval.captioned` says how an instance is asked for alone.

    Returns:
        The rows of `WORKDIR/eval/captioned.json`.

    Raises:
        UserError: There is no model, or the data has no captions or nothing to ask with.
    """
    workdir, named = Path(workdir), config.eval.captioned.named
    if INSTANCE not in named:
        raise UserError(
            f'config.eval.captioned.named is {named!r}, expected words with {INSTANCE} for the '
            f"instance, such as 'an image of {INSTANCE}'"
        )
    model = clip_pad_api.load(workdir, dtype=config.dtype)
    data = build.evaluation_data(config)
    paths = build.locate(data, workdir)
    clips = readers.ClipReader(paths.part('clips'), 'test')
    if not clips.captions:
        raise UserError(
            f'{paths.clips}: this data set has no captions; give one that has as '
            f'config.eval.data.name, such as {build.THIS_IS_MY}'
        )
    labels = [ranking_query.labels(clips[number]) for number in range(len(clips))]
    asked = build_queries(labels, paths.read_people(), clips.captions, clips.categories, named)
    titles = frozenset(clip['title'] for clip in labels)
    wanted = list(dict.fromkeys(query.person_id for query in asked))
    references, _ = ranking_references.read_references(workdir, config, model, wanted, titles)
    asked = [query for query in asked if query.person_id in references]
    if not asked:
        raise UserError(f'{paths.identities}: there is no photo of anything that the clips show')
    gallery = galleries.embed_galleries(
        clips, f'{paths.fingerprint}/clips/test', model.image_clip,
        store.folder(config, workdir), (), frames_per_clip=config.features.frames_per_clip,
        batch_size=config.features.batch_size, dtype=config.dtype, seed=config.seed,
    )[None]  # fmt: skip
    conditions = season_evaluate.conditions(model, references, season_evaluate.fine_tuning(model))
    facts = {
        'dataset': data['name'], 'dataset_version': paths.version,
        'backbone': model.clip.config.name, 'face_feature': model.face_feature,
        'num_references': config.eval.num_references, 'num_clips': len(clips),
    }  # fmt: skip
    ranks = search(model, gallery, asked, conditions)
    rows = result_rows(asked, conditions, ranks, facts, config.eval.bootstrap_samples, config.seed)
    atomic.write_json(workdir / 'eval' / 'captioned.json', rows)
    say(render(rows))
    return rows
