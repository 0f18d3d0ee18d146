"""Results of queries about two people, as flat rows."""

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
    """Area under the ROC of scores [N]: A's clips without B against those with B."""
    right, wrong = (scores[list(numbers)] for numbers in (query.relevant, query.against))
    return metrics.area_under_roc(right, wrong)


def both(scores: np.ndarray, query: PairQuery) -> float:
    """Which share of the ten best clips by scores [N] shows A with B; they come first in a tie."""
    return metrics.share_in_top_k(scores, query.against, 10)


def search(
    scorer: PairScorer, queries: Sequence[PairQuery]
) -> dict[str, dict[Way, dict[str, np.ndarray]]]:
    """Ranks the clips for all queries in all ways.

    Args:
        scorer: Of the gallery.
        queries: Queries of any scenarios.

    Returns:
        Scenario → way → metric → float64 [Q of that scenario].
    """
    results: dict[str, dict[Way, dict[str, np.ndarray]]] = {}
    for scenario in SCENARIOS:
        some = [query for query in queries if query.scenario == scenario]
        for way in pairs_scores.ways(scenario, scorer.forms) if some else ():
            scores = scorer.scores(way, some)
            ranks = metrics.relevant_ranks(scores, [np.array(q.relevant) for q in some])
            values = metrics.query_metrics(ranks)
            if scenario == WITHOUT:
                values[APART] = np.array([apart(*each) for each in zip(scores, some, strict=True)])
                values[BOTH] = np.array([both(*each) for each in zip(scores, some, strict=True)])
            results.setdefault(scenario, {})[way] = values
    return results


def _titles(queries: Sequence[PairQuery], scenario: str) -> np.ndarray:
    return np.array([query.title for query in queries if query.scenario == scenario])


def _measured(scenario: str) -> tuple[str, ...]:
    return (*METRICS, APART, BOTH) if scenario == WITHOUT else METRICS


def result_rows(
    results: Mapping[str, Mapping[Way, Mapping[str, np.ndarray]]],
    queries: Sequence[PairQuery],
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """A row per scenario and way.

    Args:
        results: From `search`.
        queries: The same queries.
        samples: Bootstrap draws; titles are what is drawn, since their queries share people.
        seed: Seed of the draws.

    Returns:
        `num_queries`, `num_titles`, `num_relevant` (mean), `METRICS`, for `WITHOUT` also
        `APART` and `BOTH`, each with `_low` and `_high`.
    """
    rows = []
    for scenario, ways in results.items():
        titles = _titles(queries, scenario)
        draws = bootstrap.PersonBootstrap(titles, samples, seed)
        right = [len(query.relevant) for query in queries if query.scenario == scenario]
        for way, values in ways.items():
            row = {
                'scenario': scenario,
                'way': way.name,
                'person_query': way.form,
                'num_queries': len(titles),
                'num_titles': len(set(titles)),
                'num_relevant': float(np.mean(right)),
            }
            measured = {name: values[name] for name in _measured(scenario)}
            rows.append(row | ranking_rows.with_bounds(measured, draws))
    return rows


def _better(ways: Mapping[Way, Mapping[str, np.ndarray]], candidates: Sequence[Way]) -> Way:
    return max(candidates, key=lambda way: ways[way]['hit@1'].mean())


def compare(
    results: Mapping[str, Mapping[Way, Mapping[str, np.ndarray]]],
    queries: Sequence[PairQuery],
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The gain of both people over the better one of them; arguments as in `result_rows`.

    Returns:
        Per scenario, form and metric `a`, `b`, the `difference` a − b on the same queries, `low`
        and `high`. `b` is the single token with more hits at 1, of "A without B" that of A.
    """
    rows = []
    for scenario, ways in results.items():
        titles = _titles(queries, scenario)
        # By names there are no queries about one person, so there is nothing to compare with.
        for form in dict.fromkeys(way.form for way in ways if way.form != method.TEXT):
            of_form = {way.name: way for way in ways if way.form == form}
            singles = [
                of_form[name]
                for name in (pairs_scores.FIRST, pairs_scores.SECOND)
                if name in of_form
            ]
            single = _better(ways, singles)
            for way in of_form.values():
                if way in singles:
                    continue
                names = _measured(scenario)
                rows += [
                    {'scenario': scenario} | row
                    for row in ranking_rows.compare(
                        ways, [(way, single)], names, titles, samples, seed
                    )
                ]
    return rows


def bound_rows(
    scorer: PairScorer,
    queries: Sequence[PairQuery],
    clips: Sequence[Mapping[str, Any]],
    actions: Sequence[str],
) -> list[dict[str, Any]]:
    """Bounds of "[A] hugging [B]": its hits where a half of the query is known.

    Args:
        scorer: Of the gallery.
        queries: Queries of any scenarios.
        clips: Labels of the gallery.
        actions: Names of the actions that the labels' numbers mean.

    Returns:
        hit@1 of `PARTS` by form: in all clips, in those that show both, and in those in which
        somebody does it.
    """
    some = [query for query in queries if query.scenario == ACTION]
    there = [{person['person_id'] for person in clip['people']} for clip in clips]
    done = [{actions[a] for person in clip['people'] for a in person['actions']} for clip in clips]
    known = {
        'nothing': np.ones((len(some), len(clips)), bool),
        'who is there': np.array([[{q.first, q.second} <= who for who in there] for q in some]),
        'what is done': np.array([[q.action in doing for doing in done] for q in some]),
    }
    rows = []
    for form in scorer.forms if some else ():
        scores = scorer.scores(Way(pairs_scores.PARTS, form), some)
        for name, mask in known.items():
            searched = np.where(mask, scores, scores.min() - 1)
            ranks = metrics.relevant_ranks(searched, [np.array(q.relevant) for q in some])
            hits = metrics.query_metrics(ranks)['hit@1']
            rows.append({'known': name, 'person_query': form, 'hit@1': float(hits.mean())})
    return rows


def order_rows(
    scorer: PairScorer, doings: Sequence[Doing], samples: int, seed: int
) -> list[dict[str, Any]]:
    """Whether a clip in which A does something to B scores higher for "A … B" than for "B … A".

    Args:
        scorer: Of the gallery.
        doings: Clips in which something is done to somebody and not done back.
        samples: Bootstrap draws; titles are what is drawn.
        seed: Seed of the draws.

    Returns:
        Per way and action, and of all actions together (None), the share `told` with its bounds; a
        tie counts as wrong.
    """
    titles = np.array([doing.title for doing in doings])
    actions = np.array([doing.action for doing in doings])
    queries = [PairQuery(ACTION, d.first, d.second, d.action, (d.clip,), d.title) for d in doings]
    swapped = [dataclasses.replace(q, first=q.second, second=q.first) for q in queries]
    clips = [doing.clip for doing in doings]
    rows = []
    for way in pairs_scores.ways(ACTION, scorer.forms):
        as_is, turned = (scorer.scores(way, each) for each in (queries, swapped))
        row = np.arange(len(queries))
        correct = (as_is[row, clips] > turned[row, clips]).astype(np.float64)
        for action in (None, *sorted(set(actions))):
            which = np.flatnonzero((actions == action) | (action is None))
            draws = bootstrap.PersonBootstrap(titles[which], samples, seed)
            rows.append(
                {
                    'way': way.name,
                    'person_query': way.form,
                    'action': None if action is None else str(action),
                    'num_pairs': len(which),
                    **ranking_rows.with_bounds({'told': correct[which]}, draws),
                }
            )
    return rows
