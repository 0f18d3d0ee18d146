"""Whether a gallery has an answer at all: every query, asked with its answers and without them.

What is left matches by half: clips of the right person doing something else, and of others who do
it (`scenarios.MIN_DISTRACTORS` of each). A system that is to say "nothing matches" has to tell the
best of these from an answer by its score alone. Background queries ask for people who were learned
and are in no clip.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.models.personalised import PersonalisedCLIP
from cpad_jax.retrieval import detection, queries, results, scorers
from cpad_jax.retrieval.scenarios import Query
from cpad_jax.text.prompts import query_text

NONE, BY_QUERY, BY_CLIP, BOTH, HALVES = (
    'the score itself', 'by query', 'by clip', 'by query and clip', 'by halves and query',
)  # fmt: skip
CALIBRATIONS = (NONE, BY_QUERY, BY_CLIP, BOTH, HALVES)
# What a false alarm's clip shows of the query.
KINDS = ('the person otherwise', 'others doing it', 'neither')
_FALSE_ALARMS = (0.01, 0.05, 0.1, 0.2)

Words = tuple[str | None, str | None]  # Action and place.


@dataclasses.dataclass(frozen=True)
class Background:
    """Scores [B, N] of background queries, by their words."""

    scores: Mapping[Words, np.ndarray]

    @property
    def all(self) -> np.ndarray:
        """Of all words."""
        return np.concatenate(list(self.scores.values()))


def strangers(model: PersonalisedCLIP, there: Sequence[str], count: int, seed: int) -> np.ndarray:
    """Tokens of learned people who are in no clip: float32 [S, K, W].

    Args:
        model: The model.
        there: Names of the people in the clips.
        count: S, at most.
        seed: Seed of the draw.

    Raises:
        UserError: The model keeps no tokens of people, or knows nobody else.
    """
    if model.saved.memory is None:
        raise UserError(
            'background queries need people whose tokens training kept: train with '
            'config.model.name_memory=True'
        )
    absent = np.flatnonzero(~np.isin(model.saved.names, list(there)))
    if len(absent) < 2:
        raise UserError(
            f'{len(absent)} of {len(model.saved.names)} people that were learned are in no clip, '
            'expected 2 or more for background queries'
        )
    drawn = np.random.default_rng((seed, 9)).permutation(absent)[:count]
    return model.saved.memory[np.sort(drawn)]


def ask_for(
    model: PersonalisedCLIP, tokens: np.ndarray, words: Sequence[Words], gallery: np.ndarray
) -> Background:
    """Asks for all of some people in all of some words.

    Args:
        model: The model.
        tokens: float32 [S, K, W].
        words: Actions and places.
        gallery: float32 [N, D] of length 1.
    """
    found = {}
    for action, place in words:
        text = query_text(None, action, place, person_token=True)
        found[action, place] = model.encode_queries([text] * len(tokens), tokens) @ gallery.T
    return Background(found)


def calibrate(
    scores: np.ndarray,
    words: Sequence[Words],
    people: Sequence[str],
    background: Background,
    own: Mapping[str, Background],
) -> dict[str, np.ndarray]:
    """The scores before they are compared within a query.

    Args:
        scores: float [Q, N].
        words: [Q] what each query says of the person.
        people: [Q] who each query is about.
        background: Of strangers.
        own: person_id → the same person in all words.

    Returns:
        `NONE`, `BY_CLIP` and `HALVES` → float [Q, N].
    """
    halves = np.empty_like(scores)
    for row, (said, person_id) in enumerate(zip(words, people, strict=True)):
        other = [s for w, s in own[person_id].scores.items() if w != said]
        halves[row] = np.minimum(
            detection.by_clip(scores[row], background.scores[said]),
            detection.by_clip(scores[row], np.concatenate(other)),
        )
    return {
        NONE: scores, BY_CLIP: detection.by_clip(scores, background.all), HALVES: halves,
    }  # fmt: skip


def all_trials(
    calibrated: Mapping[str, np.ndarray], relevant: Sequence[Sequence[int]]
) -> dict[str, detection.Trials]:
    """Asks every query with and without its answers, by each of `CALIBRATIONS`.

    Args:
        calibrated: From `calibrate`.
        relevant: For each query the numbers of its answers.
    """
    some = next(iter(calibrated.values()))
    left = np.ones(some.shape, bool)
    for row, numbers in zip(left, relevant, strict=True):
        row[list(numbers)] = False

    def over_gallery(scores: np.ndarray) -> detection.Trials:
        # What is known of a gallery is what is in it: with the answers, and without them.
        whole, emptied = detection.by_query(scores), detection.by_query(scores, left)
        return detection.trials(whole, emptied, relevant)

    plain = {name: detection.trials(calibrated[name], calibrated[name], relevant)
             for name in (NONE, BY_CLIP)}  # fmt: skip
    return {
        NONE: plain[NONE],
        BY_QUERY: over_gallery(calibrated[NONE]),
        BY_CLIP: plain[BY_CLIP],
        BOTH: over_gallery(calibrated[BY_CLIP]),
        HALVES: over_gallery(calibrated[HALVES]),
    }


def _kind(query: Query, clip: Mapping[str, Any], actions: Sequence[str], places: Sequence[str]):
    """Which of `KINDS` a clip is that does not answer a query."""
    if any(person['person_id'] == query.person_id for person in clip['people']):
        return KINDS[0]
    doing = query.action is None or any(
        actions.index(query.action) in person['actions'] for person in clip['people']
    )
    there = query.place is None or clip['place'] == places.index(query.place)
    return KINDS[1] if doing and there else KINDS[2]


def rows(
    found: Mapping[str, detection.Trials],
    asked: Sequence[Query],
    clips: Sequence[Mapping[str, Any]],
    actions: Sequence[str],
    places: Sequence[str],
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """What came out for the queries of one scenario.

    Args:
        found: From `all_trials`.
        asked: Q queries.
        clips: Labels of the gallery.
        actions: Names of actions.
        places: Names of places.
        samples: Bootstrap draws; people are what is drawn.
        seed: Seed of the draws.

    Returns:
        A row per calibration: `equal_error_rate` with `_low` and `_high`, the `floor` that the
        ranking sets it, the `missed_at_…` some shares of false alarms, and what share of the false
        alarms at the equal error rate shows what (`KINDS`).
    """
    who = np.array([query.person_id for query in asked])
    written = []
    for name, trials in found.items():
        both = detection.curve(trials.matching, trials.nothing)
        rate, threshold = both.meeting
        low, high = detection.bounds(trials, who, samples, seed)
        alarms = np.flatnonzero(trials.nothing >= threshold)
        kinds = collections.Counter(
            _kind(asked[n], clips[trials.best[n]], actions, places) for n in alarms
        )
        written.append(
            {
                'scenario': asked[0].scenario,
                'calibration': name,
                'num_queries': len(asked),
                'num_people': len(set(who)),
                'equal_error_rate': rate,
                'equal_error_rate_low': results.finite(low),
                'equal_error_rate_high': results.finite(high),
                'hit@1': float(trials.found.mean()),
                'floor': trials.floor,
                **{f'missed_at_{share}': both.missed_at(share) for share in _FALSE_ALARMS},
                **{kind: kinds[kind] / max(len(alarms), 1) for kind in KINDS},
            }
        )
    return written


def evaluate(
    model: PersonalisedCLIP,
    encoder: scorers.Encoder,
    gallery: np.ndarray,
    asked: Sequence[Query],
    background: Background,
) -> dict[str, detection.Trials]:
    """Asks the queries of one scenario by name and photos.

    Args:
        model: The model.
        encoder: Embeds queries.
        gallery: float32 [N, D] of length 1.
        asked: Q queries of one scenario.
        background: Of strangers, in all words that the queries have.
    """
    about = {query.person_id: query for query in asked}
    words = list(background.scores)
    every = [
        dataclasses.replace(query, action=action, place=place)
        for query in about.values()
        for action, place in words
    ]
    method = queries.PAD_TEXT_IMAGE
    own = encoder.encode(method, every) @ gallery.T  # [P · words, N]
    by_person = {
        person_id: Background(dict(zip(words, part[:, None], strict=True)))
        for person_id, part in zip(about, np.split(own, len(about)), strict=True)
    }
    scores = encoder.encode(method, asked) @ gallery.T
    said = [(query.action, query.place) for query in asked]
    calibrated = calibrate(
        scores, said, [query.person_id for query in asked], background, by_person
    )
    return all_trials(calibrated, [query.relevant for query in asked])
