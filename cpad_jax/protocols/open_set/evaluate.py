"""The open-set protocol: every query with its relevant clips in the gallery, and without them.

Without them, partial matches remain: clips of the right person doing something else, and of others
who do it (`queries.MIN_DISTRACTORS` of each). A system that rejects a query has to tell the best of
these from a relevant clip by its score alone. The score to expect comes from background queries:
a cohort of people who were learned and are in no clip, in the same words, and the person of the
query in other words.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.methods.context import EvalContext
from cpad_jax.methods.face_similarity import NameSimilarity
from cpad_jax.methods.querybank import ActionPlace
from cpad_jax.models import face_features
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.protocols.open_set import scores
from cpad_jax.protocols.open_set.scores import OpenSetScorer
from cpad_jax.ranking import metrics, rejection
from cpad_jax.ranking import rows as ranking_rows
from cpad_jax.ranking.query import Query, is_relevant
from cpad_jax.ranking.zscore import zscore

NONE, BY_QUERY, BY_CLIP = 'the score itself', 'by the gallery', 'by clip'
BY_COHORT, BY_BOTH = 'by the cohort', 'by the cohort and other words'
CALIBRATIONS = (NONE, BY_QUERY, BY_CLIP, BY_COHORT, BY_BOTH)
# What of the query the clip of a false alarm shows.
KINDS = ('the person otherwise', 'others doing it', 'neither')
_FALSE_ALARMS = (0.01, 0.05, 0.1, 0.2)


@dataclasses.dataclass(frozen=True)
class Background:
    """Scores [B, N] of background queries, by their words."""

    scores: Mapping[ActionPlace, np.ndarray]

    @property
    def all(self) -> np.ndarray:
        """Of all words."""
        return np.concatenate(list(self.scores.values()))


def cohort(
    model: PersonalizedCLIP, names: Sequence[str], count: int, seed: int
) -> tuple[list[str], np.ndarray]:
    """Names and tokens, float32 [S, K, W], of learned people who are in no clip.

    Args:
        model: The model.
        names: Names of the people in the clips.
        count: S, at most.
        seed: Seed of the draw.

    Raises:
        UserError: The model keeps no tokens of people, or knows fewer than two other people.
    """
    if model.saved.memory is None:
        raise UserError(
            'background queries need people whose tokens training kept: train with '
            'config.model.name_memory=True'
        )
    absent = np.flatnonzero(~np.isin(model.saved.names, list(names)))
    if len(absent) < 2:
        raise UserError(
            f'{len(absent)} of {len(model.saved.names)} people that were learned are in no clip, '
            'expected 2 or more for background queries'
        )
    drawn = np.sort(np.random.default_rng((seed, 9)).permutation(absent)[:count])
    return [str(model.saved.names[number]) for number in drawn], model.saved.memory[drawn]


def score_background(
    scorer: OpenSetScorer, tokens: np.ndarray, words: Sequence[ActionPlace]
) -> Background:
    """Scores of queries about all of some people in all of some words.

    Args:
        scorer: Of the gallery.
        tokens: float32 [S, K, W].
        words: Actions and places.
    """
    return Background(dict(zip(words, scorer.people(tokens, words), strict=True)))


def expected(background: np.ndarray, kept: np.ndarray) -> float:
    """The best score that background queries [B, N] reach in the clips `kept` [N]: their mean."""
    return float(background.max(axis=1, where=kept, initial=-np.inf).mean())


def all_trials(
    scores: np.ndarray,
    relevant: Sequence[Sequence[int]],
    background: np.ndarray,
    impostors: Callable[[int], np.ndarray],
    otherwise: Callable[[int], np.ndarray],
) -> dict[str, rejection.Trials]:
    """Trials of every query with and without its relevant clips, by each of `CALIBRATIONS`.

    Args:
        scores: float [Q, N].
        relevant: For each query the numbers of its relevant clips.
        background: float [B, N], all background queries.
        impostors: Number of a query → float [B, N], the cohort in the same words.
        otherwise: Number of a query → float [B, N], the same person in other words.
    """
    whole = np.ones(scores.shape, bool)
    left = whole.copy()
    for row, numbers in zip(left, relevant, strict=True):
        row[list(numbers)] = False

    def usual(of_query: Callable[[int], np.ndarray]) -> list[np.ndarray]:
        """[Q, 1] each: in the gallery with the query's relevant clips, and without them."""
        best = [
            [expected(some, kept[number]) for kept in (whole, left)]
            for number, some in enumerate(map(of_query, range(len(scores))))
        ]
        return list(np.array(best).T[..., None])

    cohort_best, person_best = usual(impostors), usual(otherwise)
    by_clip = rejection.by_clip(scores, background)
    calibrated = {
        NONE: (scores, scores),
        BY_QUERY: (zscore(scores), zscore(scores, left)),
        BY_CLIP: (by_clip, by_clip),
        BY_COHORT: (scores - cohort_best[0], scores - cohort_best[1]),
        BY_BOTH: (
            scores - cohort_best[0] - person_best[0],
            scores - cohort_best[1] - person_best[1],
        ),
    }
    return {name: rejection.trials(*both, relevant) for name, both in calibrated.items()}


def _kind(
    query: Query, clip: Mapping[str, Any], actions: Sequence[str], places: Sequence[str]
) -> str:
    """Which of `KINDS` a clip is that is not relevant to a query."""
    if is_relevant(clip, query.person_id):
        return KINDS[0]
    action = None if query.action is None else actions.index(query.action)
    place = None if query.place is None else places.index(query.place)
    return KINDS[1] if is_relevant(clip, None, action, place) else KINDS[2]


def rows(
    trials: Mapping[str, rejection.Trials],
    queries: Sequence[Query],
    clips: Sequence[Mapping[str, Any]],
    actions: Sequence[str],
    places: Sequence[str],
    samples: int,
    seed: int,
    method: str,
) -> list[dict[str, Any]]:
    """Result rows of the queries of one scenario.

    Args:
        trials: From `all_trials`.
        queries: Q queries.
        clips: Labels of the gallery.
        actions: Names of actions.
        places: Names of places.
        samples: Bootstrap draws; people are what is drawn.
        seed: Seed of the draws.
        method: Name of the scorer.

    Returns:
        A row per calibration: `equal_error_rate` with `_low` and `_high`, the `floor` that the
        ranking sets it, the `missed_at_…` some shares of false alarms, and what share of the false
        alarms at the equal error rate shows what (`KINDS`).
    """
    who = np.array([query.person_id for query in queries])
    written = []
    for name, of_name in trials.items():
        both = metrics.det_curve(of_name.target, of_name.nontarget)
        rate, threshold = both.equal_error_rate
        low, high = rejection.bounds(of_name, who, samples, seed)
        alarms = np.flatnonzero(of_name.nontarget >= threshold)
        kinds = collections.Counter(
            _kind(queries[n], clips[of_name.best[n]], actions, places) for n in alarms.tolist()
        )
        written.append(
            {
                'scenario': queries[0].scenario,
                'method': method,
                'calibration': name,
                'num_queries': len(queries),
                'num_people': len(set(who)),
                'equal_error_rate': rate,
                'equal_error_rate_low': ranking_rows.finite(low),
                'equal_error_rate_high': ranking_rows.finite(high),
                'hit@1': float(of_name.hits.mean()),
                'floor': of_name.floor,
                **{f'missed_at_{share}': both.miss_rate_at(share) for share in _FALSE_ALARMS},
                **{kind: kinds[kind] / max(len(alarms), 1) for kind in KINDS},
            }
        )
    return written


def evaluate(
    scorer: OpenSetScorer, queries: Sequence[Query], background: Background
) -> dict[str, rejection.Trials]:
    """Trials of the queries of one scenario.

    Args:
        scorer: Of the gallery.
        queries: Q queries of one scenario.
        background: Of the cohort, in all words that the queries have.
    """
    about = {query.person_id: query for query in queries}
    words = list(background.scores)
    every = [
        dataclasses.replace(query, action=action, place=place)
        for query in about.values()
        for action, place in words
    ]
    scores_of = scorer.queries(every)  # [P · words, N]
    by_person = dict(zip(about, np.split(scores_of, len(about)), strict=True))
    words_of = [(query.action, query.place) for query in queries]

    def otherwise(number: int) -> np.ndarray:
        in_all_words = by_person[queries[number].person_id]
        return in_all_words[[word != words_of[number] for word in words]]

    return all_trials(
        scorer.queries(queries),
        [query.relevant for query in queries],
        background.all,
        lambda number: background.scores[words_of[number]],
        otherwise,
    )


@dataclasses.dataclass(frozen=True)
class Detection:
    """Queries of the main gallery with their relevant clips and without: rows, trials by row."""

    rows: list[dict[str, Any]]
    trials: list[rejection.Trials]


def detect(context: EvalContext, queries: Sequence[Query]) -> Detection:
    """Runs the open-set protocol on compound queries.

    Args:
        context: Of the evaluation; `config.eval.two_people` is read.
        queries: The compound queries.
    """
    config, model, clips = context.config, context.model, context.clips
    options = config.eval.two_people
    names = {person['name'] for clip in context.labels for person in clip['people']}
    cohort_names, tokens = cohort(model, sorted(names), options.cohort, config.seed)
    text = scores.TextScorer(model, context.encoder, context.gallery)
    result_rows, trials = [], []
    for scenario in options.scenarios:
        of_scenario = [query for query in queries if query.scenario == scenario]
        if not of_scenario:
            continue
        words = sorted({(query.action, query.place) for query in of_scenario}, key=str)
        scorers: list[scores.OpenSetScorer] = [text]
        if model.face_feature == face_features.CLIP:
            scorers.append(
                scores.fused_scorer(
                    text,
                    context.words,
                    context.faces,
                    tokens,
                    words,
                    config.eval.with_faces,
                )
            )
            match = NameSimilarity(model.clip, context.face_tracks)
            weight = config.eval.clip_name_on_faces.faces
            scorers.append(scores.name_fused_scorer(match, context.words, cohort_names, weight))
        for scorer in scorers:
            background = score_background(scorer, tokens, words)
            of_scorer = evaluate(scorer, of_scenario, background)
            result_rows += rows(
                of_scorer,
                of_scenario,
                context.labels,
                clips.actions,
                clips.places,
                config.eval.bootstrap_samples,
                config.seed,
                scorer.name,
            )
            trials += of_scorer.values()
    return Detection(result_rows, trials)
