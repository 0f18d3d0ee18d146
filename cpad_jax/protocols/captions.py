"""The caption protocol: named instances, and captions about them.

The evaluation of This-Is-My (Yeh et al., CVPR 2023). A "named instance" query is about a person or
a thing alone, and all clips that show it are relevant; a "caption" query is about the one clip that
the caption describes. Reference photos never come from a video of the gallery.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.data import build
from cpad_jax.data.this_is_my import INSTANCE
from cpad_jax.errors import UserError
from cpad_jax.methods.conditions import Condition, conditions, encode, fine_tuning
from cpad_jax.methods.context import EvalContext
from cpad_jax.models import clip_pad_api
from cpad_jax.protocols.protocol import Outcome, Protocol
from cpad_jax.ranking import exact_scores, metrics
from cpad_jax.ranking import rows as ranking_rows
from cpad_jax.ranking.references import Reference
from cpad_jax.report.table import Cell, Table, percent
from cpad_jax.text.prompts import PERSON_TOKEN

NAMED, CAPTION = 'named instance', 'caption'
METRICS = ('mrr', 'hit@5', 'map')
_HEADS = ('MRR', 'hit@5', 'mAP')


@dataclasses.dataclass(frozen=True)
class CaptionQuery:
    """A query in words with '*' for the instance.

    Attributes:
        query_id: Unique and readable.
        scenario: `NAMED` or `CAPTION`.
        person_id: The instance.
        name: Its name.
        category: What stands for it where it is not named, such as 'dog'.
        caption: With '*' for it.
        relevant: Numbers of the relevant clips.
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


class CaptionProtocol(Protocol[CaptionQuery]):
    """Named instances alone, and captions, by CLIP and CLIP-PAD."""

    def check(self, config: Any) -> None:
        """See `Protocol`."""
        named = config.eval.captioned.named
        if INSTANCE not in named:
            raise UserError(
                f'config.eval.captioned.named is {named!r}, expected words with {INSTANCE} for the '
                f"instance, such as 'an image of {INSTANCE}'"
            )

    def queries(self, context: EvalContext) -> list[CaptionQuery]:
        """See `Protocol`; those about instances of which there are photos."""
        clips, paths = context.clips, context.paths
        if not clips.captions:
            raise UserError(
                f'{paths.clips}: this data set has no captions; give one that has as '
                f'config.eval.data.name, such as {build.THIS_IS_MY}'
            )
        built = build_queries(
            context.labels,
            paths.read_people(),
            clips.captions,
            clips.categories,
            context.config.eval.captioned.named,
        )
        references = self._references(context, [query.person_id for query in built])
        built = [query for query in built if query.person_id in references]
        if not built:
            raise UserError(
                f'{paths.identities}: there is no photo of anything that the clips show'
            )
        return built

    def run(self, context: EvalContext, queries: Sequence[CaptionQuery]) -> Outcome:
        """See `Protocol`."""
        config, model = context.config, context.model
        references = self._references(context, [query.person_id for query in queries])
        rows = conditions(model, references, fine_tuning(model))
        ranks = search(model, context.gallery, queries, rows)
        facts = {
            **{k: v for k, v in context.facts.items() if k not in ('split', 'seed')},
            'num_clips': len(context.clips),
        }
        draws = {'samples': config.eval.bootstrap_samples, 'seed': config.seed}
        results = result_rows(queries, rows, ranks, facts, **draws)
        return Outcome(
            results,
            {'captioned.json': results},
            '\n\n'.join(table.text() for table in tables(results)),
        )

    def _references(self, context: EvalContext, person_ids: Sequence[str]) -> dict[str, Reference]:
        titles = frozenset(clip['title'] for clip in context.labels)
        return context.references(list(dict.fromkeys(person_ids)), titles)


PROTOCOL = CaptionProtocol()


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
        named: The query about an instance alone, with '*' for it.

    Returns:
        Named instances that clips show, then captions, in their orders.
    """
    names = {person['person_id']: person['name'] for person in people}
    numbers = {clip['clip_id']: number for number, clip in enumerate(clips)}
    relevant_to: dict[str, list[int]] = {}
    for number, clip in enumerate(clips):
        for person in clip['people']:
            relevant_to.setdefault(person['person_id'], []).append(number)
    built = [
        (f'{NAMED}/{person_id}', NAMED, person_id, named, tuple(relevant_to[person_id]))
        for person_id in names
        if person_id in relevant_to
    ]
    # A clip that could not be read has no number.
    built += [
        (f'{CAPTION}/{c["person_id"]}/{c["clip_id"]}', CAPTION, c['person_id'], c['caption'],
         (numbers[c['clip_id']],))
        for c in captions if c['clip_id'] in numbers
    ]  # fmt: skip
    return [
        CaptionQuery(query_id, scenario, who, names[who], categories[who], caption, relevant)
        for query_id, scenario, who, caption, relevant in built
    ]


def search(
    model: clip_pad_api.PersonalizedCLIP,
    gallery: np.ndarray,
    queries: Sequence[CaptionQuery],
    conditions: Sequence[Condition],
) -> dict[str, list[np.ndarray]]:
    """`Condition.key` → for each query the ranks of its relevant clips, ascending.

    Args:
        model: Embeds the queries.
        gallery: float32 [N, D].
        queries: Q queries.
        conditions: Forms of the query.
    """
    relevant = [query.relevant for query in queries]
    return {
        one.key: exact_scores.ranks(encode(model, one, queries), gallery, relevant)
        for one in conditions
    }


def result_rows(
    queries: Sequence[CaptionQuery],
    conditions: Sequence[Condition],
    ranks: Mapping[str, Sequence[np.ndarray]],
    facts: Mapping[str, Any],
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The flat rows of `captioned.json`.

    Args:
        queries: Q queries.
        conditions: Forms of the query.
        ranks: As `search` gives them.
        facts: What is the same in every row.
        samples: Bootstrap draws; instances are what is drawn.
        seed: Seed of the draws.
    """
    person = np.array([query.person_id for query in queries])
    scenario = np.array([query.scenario for query in queries])
    rows = []
    for kind in dict.fromkeys(scenario.tolist()):
        which = np.flatnonzero(scenario == kind)
        shared = {'num_queries': len(which), 'num_people': len(set(person[which]))}

        def describe(one: Condition, kind: str = kind, shared: Any = shared) -> dict[str, Any]:
            return {
                **facts,
                'scenario': kind,
                'method': one.method.name,
                'person_query': one.method.person_query,
                'control': one.method.control,
                'fine_tuned': one.fine_tuned,
                **shared,
            }

        values = {
            one: metrics.query_metrics([ranks[one.key][number] for number in which.tolist()])
            for one in conditions
        }
        rows += ranking_rows.rows(values, describe, METRICS, person[which], samples, seed)
    return rows


def tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """A table for each scenario, in percent."""
    made = []
    for kind in dict.fromkeys(row['scenario'] for row in rows):
        of_kind = [row for row in rows if row['scenario'] == kind]
        first = of_kind[0]
        lines = []
        for row in of_kind:
            label = f'{row["method"]}, {row["control"] or row["person_query"]}'
            label += ', fine-tuned' if row['fine_tuned'] else ''
            lines.append([label, *(_cell(row, name) for name in METRICS)])
        title = (
            f'{kind}: {first["num_queries"]} queries, {first["num_clips"]} clips; in percent, ± '
            'half of the 95 % interval (instances drawn anew)'
        )
        made.append(Table(title, ['method', *_HEADS], lines))
    return made


def _cell(row: Mapping[str, Any], name: str) -> Cell:
    return dataclasses.replace(percent(row, name), form='.1f')
