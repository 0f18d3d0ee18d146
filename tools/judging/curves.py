"""How hits change: with people in the shot, gallery, size of the face, photos of the person."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.protocols.compound import evaluate
from cpad_jax.ranking import bootstrap, scorers
from cpad_jax.ranking.method import CLIP, PAD_IMAGE, PAD_TEXT, PAD_TEXT_IMAGE, Method
from cpad_jax.ranking.query import SCENARIOS, Query
from cpad_jax.synthetic.shots import HEIGHT
from tools.judging.report import PHOTOS

SAMPLES, SEED = 1000, 0
SCENARIO = 'action+place'  # Of the curves over clips, where nearly every query has one answer.
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
        at: What is on the axis, as a label.
        hit: hit@1, 0 to 1.
        low: Lower 95 % bound; people drawn anew.
        high: Upper bound.
        queries: How many queries it is the mean of.
    """

    at: str
    hit: float
    low: float
    high: float
    queries: int


# Method.key → points.
Curve = dict[str, list[Point]]


@dataclasses.dataclass(frozen=True)
class Answers:
    """The first right clip of every query, by each of `METHODS`.

    Attributes:
        asked: Q queries.
        person: str [Q].
        first: `Method.key` → int [Q], rank of the first right clip.
    """

    asked: Sequence[Query]
    person: np.ndarray
    first: dict[str, np.ndarray]

    def where(self, test: Callable[[Query], bool]) -> np.ndarray:
        """For which queries something holds: bool [Q]."""
        return np.array([test(query) for query in self.asked])


def answer(material: evaluate.EvalContext, methods: Sequence[Method] = METHODS) -> Answers:
    """Asks all queries by all methods."""
    gallery = material.galleries[None]
    first: dict[str, np.ndarray] = {}

    def use(method: Method, ranks: list[np.ndarray]) -> None:
        first[method.key] = np.array([own[0] for own in ranks])

    asking = [scorers.Cosine(method, material.encoder, gallery) for method in methods]
    scorers.rank_all(asking, material.asked, use)
    return Answers(material.asked, np.array([q.person_id for q in material.asked]), first)


def _point(at: str, hits: np.ndarray, people: np.ndarray) -> Point:
    low, high = bootstrap.PersonBootstrap(people, SAMPLES, SEED).mean_bounds(hits)
    return Point(at, float(hits.mean()), low, high, len(hits))


def _buckets(answers: Answers, buckets: Sequence[tuple[str, np.ndarray]]) -> Curve:
    """A point for each bucket (label, bool [Q]) that has queries about two people or more."""
    curve: Curve = {key: [] for key in answers.first}
    for label, which in buckets:
        if len(set(answers.person[which])) < 2:
            continue
        for key, first in answers.first.items():
            curve[key].append(_point(label, (first[which] <= 1) * 1.0, answers.person[which]))
    return curve


def by_crowd(answers: Answers, clips: Sequence[Mapping[str, Any]]) -> Curve:
    """By people in the shot; of several right clips, in the one with the fewest."""
    crowd = np.array([min(len(clips[n]['people']) for n in q.relevant) for q in answers.asked])
    ours = answers.where(lambda query: query.seen and query.scenario == SCENARIO)
    return _buckets(answers, [(str(n), ours & (crowd == n)) for n in (1, 2, 3)])


def _face_height(clip: Mapping[str, Any], person_id: str) -> float:
    """Pixels of the asked person's face where it is largest in a clip."""
    heights = [0.0]
    for person in clip['people']:
        boxes = np.asarray(person['tracks']['boxes']).reshape(-1, 4)
        if person['person_id'] == person_id and len(boxes):
            heights.append(float((boxes[:, 2] - boxes[:, 0]).max()) * HEIGHT)
    return max(heights)


def by_face_height(answers: Answers, clips: Sequence[Mapping[str, Any]]) -> Curve:
    """By the height of the person's face, where it is largest in any right clip."""
    height = np.array([
        max(_face_height(clips[n], q.person_id) for n in q.relevant) for q in answers.asked
    ])  # fmt: skip
    ours = answers.where(lambda query: query.seen and query.scenario == SCENARIO)
    ends = (*HEIGHTS[1:], np.inf)
    labels = [f'{low}-{high}' for low, high in zip(HEIGHTS, HEIGHTS[1:], strict=False)]
    return _buckets(
        answers,
        [
            (label, ours & (height >= low) & (height < high))
            for label, low, high in zip([*labels, f'{HEIGHTS[-1]}+'], HEIGHTS, ends, strict=True)
        ],
    )


def chance_to_be_first(above: np.ndarray, others: np.ndarray, kept: int) -> np.ndarray:
    """How likely no better clip is among those kept of a gallery, when they are drawn at random.

    Args:
        above: int [Q], wrong clips that rank before the first right one.
        others: int [Q], all wrong clips.
        kept: How many of the wrong clips are kept, at most the fewest of `others`.

    Returns:
        float [Q], the hypergeometric chance that none of `above` is kept.
    """
    chance = np.ones(len(above))
    for query, (bad, all_wrong) in enumerate(zip(above, others, strict=True)):
        if all_wrong - kept < bad:
            chance[query] = 0.0
        else:
            # C(wrong − bad, kept) / C(wrong, kept), a factor for each clip above.
            i = np.arange(bad)
            chance[query] = np.prod((all_wrong - kept - i) / (all_wrong - i))
    return chance


def by_gallery(answers: Answers, num_clips: int) -> Curve:
    """By clips in the gallery: the right ones, and of the others as many as are drawn."""
    which = answers.where(lambda query: query.seen and query.scenario == SCENARIO)
    right = np.array([len(query.relevant) for query in answers.asked])[which]
    others = num_clips - right
    curve: Curve = {key: [] for key in answers.first}
    for size in (*(size for size in GALLERIES if size < others.min()), num_clips):
        for key, first in answers.first.items():
            kept = min(size, int(others.min()))
            hits = chance_to_be_first(first[which] - 1, others, kept)
            if size == num_clips:
                hits = (first[which] <= 1) * 1.0
            curve[key].append(_point(str(size), hits, answers.person[which]))
    return curve


def by_photos(answers: Answers, photos: Mapping[str, int]) -> Curve:
    """By training photos of the person, all scenarios; 0 for people never seen."""
    counts = np.array([photos[query.person_id] for query in answers.asked])
    return _buckets(
        answers, [(label, (counts >= low) & (counts <= high)) for label, low, high in PHOTOS]
    )


def by_references(workdir: Path, config: Any) -> Curve:
    """By reference photos of a query, seen people, all scenarios."""
    forms = (PAD_IMAGE, PAD_TEXT_IMAGE)
    curve: Curve = {form.key: [] for form in forms}
    for count in REFERENCES:
        config = copy.deepcopy(config)
        config.eval.num_references = count
        answers = answer(evaluate.prepare(workdir, config), forms)
        seen = answers.where(lambda query: query.seen)
        for key, first in answers.first.items():
            curve[key].append(_point(str(count), (first[seen] <= 1) * 1.0, answers.person[seen]))
    return curve


def measure(workdir: Path, config: Any, photos: Mapping[str, int]) -> dict[str, Curve]:
    """All curves of a model on one world, by the name of their axis.

    Args:
        workdir: Of a finished identity learning.
        config: Its configuration; `config.eval.data` says which world is searched.
        photos: person_id → training photos.
    """
    material = evaluate.prepare(workdir, config)
    answers = answer(material)
    return {
        f'people in the shot ({SCENARIO})': by_crowd(answers, material.labels),
        f'clips in the gallery ({SCENARIO})': by_gallery(answers, len(material.labels)),
        f'height of the face, pixels ({SCENARIO})': by_face_height(answers, material.labels),
        f'reference photos ({", ".join(SCENARIOS)})': by_references(workdir, config),
        f'training photos of the person ({", ".join(SCENARIOS)})': by_photos(answers, photos),
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

    # The same file whenever the numbers are the same.
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
    lines = []
    for name, curve in curves.items():
        lines.append(f'{name}: hit@1, 95 % interval, queries')
        for key, points in curve.items():
            cells = [f'{p.at}: {p.hit:.3f} [{p.low:.3f}, {p.high:.3f}] {p.queries}' for p in points]
            lines.append(f'  {key.replace("/", " "):<20} ' + '   '.join(cells))
    return '\n'.join(lines)
