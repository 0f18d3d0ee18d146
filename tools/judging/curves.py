"""Curves of hit@1: by people in the shot, gallery size, face height, and photos of the person."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.methods.context import EvalContext
from cpad_jax.protocols.compound.evaluate import PROTOCOL
from cpad_jax.ranking import bootstrap, scorers
from cpad_jax.ranking.method import CLIP, PAD_IMAGE, PAD_TEXT, PAD_TEXT_IMAGE, Method
from cpad_jax.ranking.query import SCENARIOS, Query
from cpad_jax.report.table import Cell, Table
from cpad_jax.synthetic.shots import HEIGHT
from tools.judging.report import PHOTOS

SAMPLES, SEED = 1000, 0
SCENARIO = 'action+place'  # Of the curves over clips: nearly every query has one relevant clip.
GALLERIES = (100, 250, 500, 1000, 2000, 4000)
HEIGHTS = (0, 20, 30, 40, 55, 70, 90)  # Pixels of frames 168 pixels high.
REFERENCES = (1, 3, 5, 10)
METHODS = (
    CLIP,
    PAD_TEXT,
    PAD_IMAGE,
    PAD_TEXT_IMAGE,
)


@dataclasses.dataclass(frozen=True)
class Point:
    """A value of a curve.

    Attributes:
        at: Label on the axis.
        hit: hit@1, 0 to 1.
        low: Lower 95 % bound, by the bootstrap over people.
        high: Upper bound.
        queries: Number of queries.
    """

    at: str
    hit: float
    low: float
    high: float
    queries: int


# Method.key → points.
Curve = dict[str, list[Point]]


@dataclasses.dataclass(frozen=True)
class FirstRanks:
    """The rank of the first relevant clip of every query, by each of `METHODS`.

    Attributes:
        queries: Q queries.
        person: str [Q].
        first: `Method.key` → int [Q], rank of the first relevant clip.
    """

    queries: Sequence[Query]
    person: np.ndarray
    first: dict[str, np.ndarray]

    def where(self, test: Callable[[Query], bool]) -> np.ndarray:
        """The queries that pass a test: bool [Q]."""
        return np.array([test(query) for query in self.queries])


def rank(
    context: EvalContext, queries: Sequence[Query], methods: Sequence[Method] = METHODS
) -> FirstRanks:
    """Ranks the clips for all queries by all methods."""
    first: dict[str, np.ndarray] = {}

    def use(method: Method, ranks: list[np.ndarray]) -> None:
        first[method.key] = np.array([hits[0] for hits in ranks])

    rows = [scorers.Cosine(method, context.encoder, context.gallery) for method in methods]
    scorers.rank_all(rows, queries, use)
    return FirstRanks(queries, np.array([query.person_id for query in queries]), first)


def _point(at: str, hits: np.ndarray, people: np.ndarray) -> Point:
    low, high = bootstrap.PersonBootstrap(people, SAMPLES, SEED).mean_bounds(hits)
    return Point(at, float(hits.mean()), low, high, len(hits))


def _buckets(ranks: FirstRanks, buckets: Sequence[tuple[str, np.ndarray]]) -> Curve:
    """A point for each bucket (label, bool [Q]) that has queries about two people or more."""
    curve: Curve = {key: [] for key in ranks.first}
    for label, which in buckets:
        if len(set(ranks.person[which])) < 2:
            continue
        for key, first in ranks.first.items():
            curve[key].append(_point(label, (first[which] <= 1) * 1.0, ranks.person[which]))
    return curve


def by_crowd(ranks: FirstRanks, clips: Sequence[Mapping[str, Any]]) -> Curve:
    """By people in the shot; of several relevant clips, in the one with the fewest."""
    crowd = np.array([min(len(clips[n]['people']) for n in q.relevant) for q in ranks.queries])
    which = ranks.where(lambda query: query.seen and query.scenario == SCENARIO)
    return _buckets(ranks, [(str(n), which & (crowd == n)) for n in (1, 2, 3)])


def _face_height(clip: Mapping[str, Any], person_id: str) -> float:
    """The largest height in pixels of a person's face in a clip."""
    heights = [0.0]
    for person in clip['people']:
        boxes = np.asarray(person['tracks']['boxes']).reshape(-1, 4)
        if person['person_id'] == person_id and len(boxes):
            heights.append(float((boxes[:, 2] - boxes[:, 0]).max()) * HEIGHT)
    return max(heights)


def by_face_height(ranks: FirstRanks, clips: Sequence[Mapping[str, Any]]) -> Curve:
    """By the largest height of the person's face in any relevant clip."""
    height = np.array([
        max(_face_height(clips[n], q.person_id) for n in q.relevant) for q in ranks.queries
    ])  # fmt: skip
    which = ranks.where(lambda query: query.seen and query.scenario == SCENARIO)
    ends = (*HEIGHTS[1:], np.inf)
    labels = [f'{low}-{high}' for low, high in zip(HEIGHTS, HEIGHTS[1:], strict=False)]
    return _buckets(
        ranks,
        [
            (label, which & (height >= low) & (height < high))
            for label, low, high in zip([*labels, f'{HEIGHTS[-1]}+'], HEIGHTS, ends, strict=True)
        ],
    )


def chance_to_be_first(above: np.ndarray, others: np.ndarray, kept: int) -> np.ndarray:
    """The probability that a random part of the gallery has no better clip than a relevant one.

    Args:
        above: int [Q], irrelevant clips that rank before the first relevant one.
        others: int [Q], all irrelevant clips.
        kept: Number of irrelevant clips drawn, at most the fewest of `others`.

    Returns:
        float [Q], the hypergeometric probability that none of `above` is drawn.
    """
    chance = np.ones(len(above))
    for query, (bad, all_wrong) in enumerate(zip(above, others, strict=True)):
        if all_wrong - kept < bad:
            chance[query] = 0.0
        else:
            # C(irrelevant − above, kept) / C(irrelevant, kept), a factor for each clip above.
            i = np.arange(bad)
            chance[query] = np.prod((all_wrong - kept - i) / (all_wrong - i))
    return chance


def by_gallery(ranks: FirstRanks, num_clips: int) -> Curve:
    """By clips in the gallery: the relevant ones, and a random draw of the others."""
    which = ranks.where(lambda query: query.seen and query.scenario == SCENARIO)
    others = num_clips - np.array([len(query.relevant) for query in ranks.queries])[which]
    curve: Curve = {key: [] for key in ranks.first}
    for size in (*(size for size in GALLERIES if size < others.min()), num_clips):
        for key, first in ranks.first.items():
            kept = min(size, int(others.min()))
            hits = chance_to_be_first(first[which] - 1, others, kept)
            if size == num_clips:
                hits = (first[which] <= 1) * 1.0
            curve[key].append(_point(str(size), hits, ranks.person[which]))
    return curve


def by_photos(ranks: FirstRanks, photos: Mapping[str, int]) -> Curve:
    """By training photos of the person, all scenarios; 0 for people never seen."""
    counts = np.array([photos[query.person_id] for query in ranks.queries])
    return _buckets(
        ranks, [(label, (counts >= low) & (counts <= high)) for label, low, high in PHOTOS]
    )


def by_references(workdir: Path, config: Any) -> Curve:
    """By reference photos of a query, seen people, all scenarios."""
    forms = (PAD_IMAGE, PAD_TEXT_IMAGE)
    curve: Curve = {form.key: [] for form in forms}
    for count in REFERENCES:
        config = copy.deepcopy(config)
        config.eval.num_references = count
        context = EvalContext(config, workdir)
        ranks = rank(context, PROTOCOL.queries(context), forms)
        seen = ranks.where(lambda query: query.seen)
        for key, first in ranks.first.items():
            curve[key].append(_point(str(count), (first[seen] <= 1) * 1.0, ranks.person[seen]))
    return curve


def measure(workdir: Path, config: Any, photos: Mapping[str, int]) -> dict[str, Curve]:
    """All curves of a model on one world, by the name of their axis.

    Args:
        workdir: Workdir of a finished identity learning.
        config: Its configuration, with the world in `config.eval.data`.
        photos: person_id → training photos.
    """
    context = EvalContext(config, workdir)
    ranks = rank(context, PROTOCOL.queries(context))
    return {
        f'people in the shot ({SCENARIO})': by_crowd(ranks, context.labels),
        f'clips in the gallery ({SCENARIO})': by_gallery(ranks, len(context.labels)),
        f'height of the face, pixels ({SCENARIO})': by_face_height(ranks, context.labels),
        f'reference photos ({", ".join(SCENARIOS)})': by_references(workdir, config),
        f'training photos of the person ({", ".join(SCENARIOS)})': by_photos(ranks, photos),
    }


def draw(curves: Mapping[str, Curve], path: Path) -> None:
    """Draws all curves side by side.

    Args:
        curves: Of `measure`.
        path: The .svg or .png file to write.
    """
    import matplotlib  # noqa: PLC0415

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt  # noqa: PLC0415

    from cpad_jax import atomic  # noqa: PLC0415

    # Equal numbers give an equal file.
    matplotlib.rcParams['svg.hashsalt'] = 'cpad_jax'
    columns = 3
    rows = -(-len(curves) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4 * columns, 3.1 * rows), sharey=True, layout='constrained'
    )
    colours = {method.key: f'C{number}' for number, method in enumerate(METHODS)}
    for axis, (name, curve) in zip(axes.flat, curves.items(), strict=False):
        for key, points in curve.items():
            at = range(len(points))
            low = [point.hit - point.low for point in points]
            high = [point.high - point.hit for point in points]
            axis.errorbar(
                at, [point.hit for point in points], yerr=(low, high),
                label=key.replace('/', ', '), color=colours[key],
                marker='o', markersize=3, capsize=2, linewidth=1.2,
            )  # fmt: skip
        longest = max(curve.values(), key=len)
        axis.set_xticks(range(len(longest)), [point.at for point in longest])
        axis.set_xlabel(name, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(axis='y', linewidth=0.4)
        axis.set_ylim(0, 1)
    for axis in list(axes.flat)[len(curves) :]:
        axis.axis('off')
    axes.flat[0].set_ylabel('hit@1')
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc='outside lower right', fontsize=8)
    with atomic.writing(path) as temporary:
        figure.savefig(
            temporary, format=path.suffix[1:], metadata={'Date': None} if path.suffix == '.svg'
            else None, dpi=110,
        )  # fmt: skip
    plt.close(figure)


def render(curves: Mapping[str, Curve]) -> str:
    """All curves as text."""
    tables = []
    for name, curve in curves.items():
        points = max(curve.values(), key=len)
        lines = [
            [key.replace('/', ' '), *(Cell(p.hit, p.low, p.high) for p in own),
             *[Cell(None)] * (len(points) - len(own))]
            for key, own in curve.items()
        ]  # fmt: skip
        heads = [f'{point.at} ({point.queries})' for point in points]
        title = f'{name} (queries): hit@1 [95 % interval]'
        tables.append(Table(title, ['method', *heads], lines).text())
    return '\n\n'.join(tables)
