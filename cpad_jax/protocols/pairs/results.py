"""What came out of queries about two people, as flat rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.protocols.pairs import scores as pairs_scores
from cpad_jax.protocols.pairs.queries import ACTION, SCENARIOS, WITHOUT, Doing, PairQuery
from cpad_jax.protocols.pairs.scores import PairScorer, Way
from cpad_jax.ranking import bootstrap, method, metrics
from cpad_jax.ranking import rows as ranking_rows

# Of "A without B": the share of pairs of A's clips, one without and one with B, that are in order;
# and how many of the ten best clips show both.
APART, BOTH = 'apart', 'both@10'
METRICS = ('hit@1', 'hit@5', 'map')


def apart(scores: np.ndarray, query: PairQuery) -> float:
    """How well scores [N] tell A's clips without B from those with B: 0.5 is chance; ties half."""
    right, wrong = (scores[list(numbers)] for numbers in (query.relevant, query.against))
    return metrics.area_under_roc(right, wrong)


def both(scores: np.ndarray, query: PairQuery) -> float:
    """Which share of the ten best clips by scores [N] shows A with B; they come first in a tie."""
    return metrics.share_in_top_k(scores, query.against, 10)


def search(
    asker: PairScorer, asked: Sequence[PairQuery]
) -> dict[str, dict[Way, dict[str, np.ndarray]]]:
    """Asks all queries in all ways.

    Args:
        asker: Of the gallery.
        asked: Queries of any scenarios.

    Returns:
        Scenario → way → metric → float64 [Q of that scenario].
    """
    found: dict[str, dict[Way, dict[str, np.ndarray]]] = {}
    for scenario in SCENARIOS:
        own = [query for query in asked if query.scenario == scenario]
        for way in pairs_scores.ways(scenario, asker.forms) if own else ():
            scores = asker.scores(way, own)
            ranks = metrics.relevant_ranks(scores, [np.array(q.relevant) for q in own])
            values = metrics.query_metrics(ranks)
            if scenario == WITHOUT:
                values[APART] = np.array([apart(*some) for some in zip(scores, own, strict=True)])
                values[BOTH] = np.array([both(*some) for some in zip(scores, own, strict=True)])
            found.setdefault(scenario, {})[way] = values
    return found


def _titles(asked: Sequence[PairQuery], scenario: str) -> np.ndarray:
    return np.array([query.title for query in asked if query.scenario == scenario])


def _measured(scenario: str) -> tuple[str, ...]:
    return (*METRICS, APART, BOTH) if scenario == WITHOUT else METRICS


def result_rows(
    found: Mapping[str, Mapping[Way, Mapping[str, np.ndarray]]],
    asked: Sequence[PairQuery],
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """A row per scenario and way.

    Args:
        found: From `search`.
        asked: The same queries.
        samples: Bootstrap draws; titles are what is drawn, since their queries share people.
        seed: Seed of the draws.

    Returns:
        `num_queries`, `num_titles`, `num_relevant` (mean), `METRICS`, for `WITHOUT` also
        `APART` and `BOTH`, each with `_low` and `_high`.
    """
    rows = []
    for scenario, ways in found.items():
        titles = _titles(asked, scenario)
        draws = bootstrap.PersonBootstrap(titles, samples, seed)
        right = [len(query.relevant) for query in asked if query.scenario == scenario]
        for way, values in ways.items():
            row = {
                'scenario': scenario,
                'way': way.name,
                'person_query': way.form,
                'num_queries': len(titles),
                'num_titles': len(set(titles)),
                'num_relevant': float(np.mean(right)),
            }
            own = {name: values[name] for name in _measured(scenario)}
            rows.append(row | ranking_rows.with_bounds(own, draws))
    return rows


def _better(ways: Mapping[Way, Mapping[str, np.ndarray]], candidates: Sequence[Way]) -> Way:
    return max(candidates, key=lambda way: ways[way]['hit@1'].mean())


def compare(
    found: Mapping[str, Mapping[Way, Mapping[str, np.ndarray]]],
    asked: Sequence[PairQuery],
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """What both people bring over the better one of them; arguments as in `result_rows`.

    Returns:
        Per scenario, form and metric `a`, `b`, the `difference` a − b on the same queries, `low`
        and `high`. `b` is the single token with more hits at 1, of "A without B" that of A.
    """
    rows = []
    for scenario, ways in found.items():
        titles = _titles(asked, scenario)
        # By names nobody is asked for alone, so there is nothing to compare with.
        for form in dict.fromkeys(way.form for way in ways if way.form != method.TEXT):
            own = {way.name: way for way in ways if way.form == form}
            singles = [own[n] for n in (pairs_scores.FIRST, pairs_scores.SECOND) if n in own]
            single = _better(ways, singles)
            for way in own.values():
                if way in singles:
                    continue
                for name in _measured(scenario):
                    difference = bootstrap.paired_difference(
                        ways[way][name], ways[single][name], titles, samples, seed
                    )
                    rows.append(
                        {'scenario': scenario, 'metric': name, 'a': way.key, 'b': single.key}
                        | {key: ranking_rows.finite(value) for key, value in difference.items()}
                    )
    return rows


def bound_rows(
    asker: PairScorer,
    asked: Sequence[PairQuery],
    clips: Sequence[Mapping[str, Any]],
    actions: Sequence[str],
) -> list[dict[str, Any]]:
    """How far "[A] hugging [B]" comes where a half of it is known: what bounds it.

    Args:
        asker: Of the gallery.
        asked: Queries of any scenarios.
        clips: Labels of the gallery.
        actions: Names of the actions that the labels' numbers mean.

    Returns:
        hit@1 of `PARTS` by form, as it is, where only clips that show both are searched, and where
        only those are in which somebody does it.
    """
    own = [query for query in asked if query.scenario == ACTION]
    there = [{person['person_id'] for person in clip['people']} for clip in clips]
    done = [{actions[a] for person in clip['people'] for a in person['actions']} for clip in clips]
    known = {
        'nothing': np.ones((len(own), len(clips)), bool),
        'who is there': np.array([[{q.first, q.second} <= who for who in there] for q in own]),
        'what is done': np.array([[q.action in doing for doing in done] for q in own]),
    }
    rows = []
    for form in asker.forms if own else ():
        scores = asker.scores(Way(pairs_scores.PARTS, form), own)
        for name, mask in known.items():
            searched = np.where(mask, scores, scores.min() - 1)
            ranks = metrics.relevant_ranks(searched, [np.array(q.relevant) for q in own])
            hits = metrics.query_metrics(ranks)['hit@1']
            rows.append({'known': name, 'person_query': form, 'hit@1': float(hits.mean())})
    return rows


def order_rows(
    asker: PairScorer, doings: Sequence[Doing], samples: int, seed: int
) -> list[dict[str, Any]]:
    """Whether a clip in which A does something to B answers "A … B" better than "B … A".

    Args:
        asker: Of the gallery.
        doings: Clips in which something is done to somebody and not done back.
        samples: Bootstrap draws; titles are what is drawn.
        seed: Seed of the draws.

    Returns:
        Per way and action, and of all actions together (None), the share `told` with its bounds; a
        tie is not told.
    """
    titles = np.array([doing.title for doing in doings])
    actions = np.array([doing.action for doing in doings])
    asked = [PairQuery(ACTION, d.first, d.second, d.action, (d.clip,), d.title) for d in doings]
    swapped = [dataclasses.replace(q, first=q.second, second=q.first) for q in asked]
    clips = [doing.clip for doing in doings]
    rows = []
    for way in pairs_scores.ways(ACTION, asker.forms):
        as_is, turned = (asker.scores(way, some) for some in (asked, swapped))
        row = np.arange(len(asked))
        told = (as_is[row, clips] > turned[row, clips]).astype(np.float64)
        for action in (None, *sorted(set(actions))):
            which = np.flatnonzero((actions == action) | (action is None))
            draws = bootstrap.PersonBootstrap(titles[which], samples, seed)
            rows.append(
                {
                    'way': way.name,
                    'person_query': way.form,
                    'action': None if action is None else str(action),
                    'num_pairs': len(which),
                    **ranking_rows.with_bounds({'told': told[which]}, draws),
                }
            )
    return rows
