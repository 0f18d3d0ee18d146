"""The parts of the page that show numbers: the paper's table, curves, bars, failures, controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.protocols.compound import table
from cpad_jax.protocols.protocol import Report
from cpad_jax.ranking import bootstrap
from cpad_jax.ranking import rows as ranking_rows
from cpad_jax.ranking.method import (
    BLURRED_FACES,
    CE,
    CLIP,
    FACE_ONLY,
    FIRST_FRAME,
    HAIR_ONLY,
    NO_PERSON,
    PAD_MEMORY,
    PAD_TEXT_IMAGE,
    PERSON_ONLY,
    SHUFFLED_FRAMES,
    WRONG_PERSON,
    WRONG_PHOTO,
    Method,
)
from cpad_jax.ranking.query import SCENARIOS, Query
from cpad_jax.report import charts, strips
from cpad_jax.report.page import Section, grid, name, text

CUTOFFS = (1, 2, 5, 10, 20, 50, 100)
# The two that bars compare.
COMPARED = (CLIP, PAD_TEXT_IMAGE)
_FEWEST = 3  # Queries about somebody, for a bar of their own.
_ENDS = 8  # People with the most hits, and as many with the fewest.
_WORST = 15


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """The results of an evaluation.

    Attributes:
        rows: Of `results.json`.
        comparisons: Of `comparisons.json`.
        queries: Q queries.
        first: Method → float [Q], rank of the first right clip; controls may be among them.
        samples: Bootstrap draws.
        seed: Seed of the draws.
    """

    rows: Sequence[Mapping[str, Any]]
    comparisons: Sequence[Mapping[str, Any]]
    queries: Sequence[Query]
    first: Mapping[Method, np.ndarray]
    samples: int
    seed: int

    @property
    def methods(self) -> list[Method]:
        """Those that are no control."""
        return [method for method in self.first if method.control is None]

    @property
    def scenarios(self) -> list[str]:
        """Those that were queries, in the order of the paper."""
        return [s for s in SCENARIOS if any(query.scenario == s for query in self.queries)]

    def series(self, methods: Sequence[Method]) -> list[charts.Series]:
        """Their labels and colours."""
        return [charts.Series(label(method), self.methods.index(method)) for method in methods]


def label(method: Method) -> str:
    """What a method is called, e.g. 'CLIP-PAD, text+image' or 'CLIP-PAD: wrong person'."""
    if method.control:
        return f'{method.name}: {method.control}'
    return f'{method.name}, {method.person_query}'


def paper_table(evaluated: Evaluated) -> Section:
    """The paper's table, with the paper's own numbers beside ours, and the strata of people."""
    made = table.tables(evaluated.rows, (), compact=False)
    main, strata = made[0], [one for one in made[1:] if not one.title.startswith('Controls')]
    notes = [*main.notes]
    if CE not in evaluated.methods:
        notes.append('This run has no CE: config.eval.ce names one.')
    if PAD_MEMORY in evaluated.methods:
        notes.append('Name memory: the mean token of the training photos follows the name.')
    main = dataclasses.replace(main, notes=notes)
    return Section('table', 'Results', ''.join(one.html() for one in (main, *strata)))


def share(evaluated: Evaluated, which: np.ndarray, hits: np.ndarray) -> charts.Point:
    """The mean of `hits` [Q] over queries `which`, people drawn anew."""
    people = np.array([evaluated.queries[number].person_id for number in which])
    draws = bootstrap.PersonBootstrap(people, evaluated.samples, evaluated.seed)
    return charts.Point(float(hits[which].mean()), *draws.mean_bounds(hits[which]))


def curves(evaluated: Evaluated) -> Section:
    """How many queries have a right clip among the first K, for K from 1 to 100."""
    clips = evaluated.rows[0]['num_clips']
    at = [k for k in CUTOFFS if k <= clips]
    series = evaluated.series(evaluated.methods)
    drawn = []
    for scenario in evaluated.scenarios:
        seen = ranking_rows.group(evaluated.queries, scenario, 'seen')
        if not len(seen):
            continue
        lines = [
            (one, [share(evaluated, seen, (evaluated.first[method] <= k) * 1.0) for k in at])
            for one, method in zip(series, evaluated.methods, strict=True)
        ]
        drawn.append(charts.curves(f'{scenario}, {len(seen)} queries', at, lines, 'K (clips)'))
    if not drawn:
        return Section('curves', 'Hits among the first K', '')
    note = (
        '<p>Percent of queries with a right clip among the first K; the shaded band is the 95 % '
        'interval. Seen people.</p>'
    )
    charts_ = f'<div class="charts">{"".join(drawn)}</div>'
    return Section('curves', 'Hits among the first K', note + charts.legend(series) + charts_)


def _bars(evaluated: Evaluated, title: str, groups: Mapping[str, Sequence[int]]) -> str:
    methods = [method for method in COMPARED if method in evaluated.first]
    drawn = []
    for words, numbers in groups.items():
        which = np.asarray(numbers)
        points = [share(evaluated, which, (evaluated.first[m] <= 1) * 1.0) for m in methods]
        drawn.append((words, len(which), points))
    return charts.bars(title, evaluated.series(methods), drawn) if drawn else ''


def _people(evaluated: Evaluated) -> dict[str, list[int]]:
    """The people with the most hits and with the fewest, by name and id where names are shared."""
    best = evaluated.first[[m for m in COMPARED if m in evaluated.first][-1]]
    by_person: dict[str, list[int]] = {}
    for number, query in enumerate(evaluated.queries):
        by_person.setdefault(query.person_id, []).append(number)
    queries = {who: own for who, own in by_person.items() if len(own) >= _FEWEST}
    order = sorted(queries, key=lambda who: (-(best[queries[who]] <= 1).mean(), who))
    ends = order if len(order) <= 2 * _ENDS else order[:_ENDS] + order[-_ENDS:]
    names = [evaluated.queries[queries[who][0]].name for who in ends]
    return {
        one if names.count(one) == 1 else f'{one} ({who})': queries[who]
        for one, who in zip(names, ends, strict=True)
    }


def groups(evaluated: Evaluated) -> Section:
    """Hits at 1 by action, by place, and by person."""
    by: dict[str, dict[str, list[int]]] = {'action': {}, 'place': {}}
    for number, query in enumerate(evaluated.queries):
        if query.seen:
            for kind, own in by.items():
                if getattr(query, kind):
                    own.setdefault(getattr(query, kind), []).append(number)
    drawn = [
        _bars(evaluated, f'By {kind}: hit@1 in percent, seen people', dict(sorted(own.items())))
        for kind, own in by.items()
    ]
    people = _people(evaluated)
    drawn.append(_bars(
        evaluated, f'By person: of those with {_FEWEST} queries or more, the {len(people)} with '
        'the most and the fewest hits', people,
    ))  # fmt: skip
    drawn = [chart for chart in drawn if chart]
    if not drawn:
        return Section('groups', 'Actions, places, people', '')
    key = charts.legend(evaluated.series([m for m in COMPARED if m in evaluated.first]))
    note = '<p>All queries that name it, alone or with a place or an action.</p>'
    return Section(
        'groups', 'Actions, places, people',
        f'{note}{key}<div class="charts">{"".join(drawn)}</div>',
    )  # fmt: skip


def _words(query: Query) -> str:
    return ' · '.join([name(query.name), *(text(w) for w in (query.action, query.place) if w)])


def failures(evaluated: Evaluated, method: Method, drawn: Sequence[strips.Failure]) -> Section:
    """How many queries fail by a method, the worst of them, and strips of some drawn by chance."""
    first = evaluated.first[method]
    failing = first > strips.FOUND_BY
    if not failing.any():
        return Section('failures', 'Queries that fail', '')
    lines = []
    for scenario in evaluated.scenarios:
        own = np.array([query.scenario == scenario for query in evaluated.queries])
        lines.append([
            text(scenario), str(int(own.sum())), str(int((failing & own).sum())),
            f'{100 * failing[own].mean():.1f}', f'{np.median(first[own]):.0f}',
        ])  # fmt: skip
    body = f'<p>A query fails by {text(label(method))} if none of the first {strips.FOUND_BY} clips'
    body += ' answers it. All people.</p>'
    body += grid(
        ['Scenario', 'queries', 'fail', '%', 'median rank'], lines, 'How many queries fail'
    )
    numbers = np.flatnonzero(failing).tolist()
    worst = sorted(numbers, key=lambda number: -first[number])[:_WORST]
    body += grid(
        ['Query', 'seen', 'answers', *(text(label(m)) for m in evaluated.methods)],
        [
            [
                _words(evaluated.queries[n]), 'yes' if evaluated.queries[n].seen else 'no',
                str(len(evaluated.queries[n].relevant)),
                *(f'{evaluated.first[m][n]:.0f}' for m in evaluated.methods),
            ]
            for n in worst
        ],
        f'The {len(worst)} that fail worst: rank of the first right clip by every method',
    )  # fmt: skip
    if pictures := strips.render(drawn):
        body += (
            '<p>Some of them, drawn by chance: a reference photo, the five clips that rank '
            'first, and one that should.</p>' + pictures
        )
    return Section('failures', 'Queries that fail', body)


# What a control takes from its method, or puts in the place of it.
CHANGED = {
    NO_PERSON.control: 'no person is named',
    PERSON_ONLY.control: 'neither action nor place is named',
    WRONG_PERSON.control: "somebody else's name and photos",
    WRONG_PHOTO.control: "the right name, somebody else's photos",
    FIRST_FRAME.control: 'of each clip only the first frame',
    SHUFFLED_FRAMES.control: 'the order of the frames',
    BLURRED_FACES.control: 'heads in the clips are blurred, face and hair',
    FACE_ONLY.control: 'in the photos all but the face is grey',
    HAIR_ONLY.control: 'in the photos eyes, nose and mouth are one colour',
}


def controls(evaluated: Evaluated) -> Section:
    """What each control still finds."""
    present = [method for method in evaluated.first if method.control is not None]
    if not present:
        return Section('controls', 'Controls', '')
    title = 'How often the clip of the right person is found, seen people, in percent'
    hits = table.hits(evaluated.rows, title, [method.key for method in present], 'seen')
    changed = {f'{method.name}, {method.control}': CHANGED[method.control] for method in present}
    described = dataclasses.replace(
        hits,
        columns=['control', 'what is changed', *hits.columns[2:]],
        rows=[[row[0], changed[str(row[0])], *row[2:]] for row in hits.rows],
    )
    return Section('controls', 'Controls', described.html())


def comparisons(evaluated: Evaluated) -> Section:
    """Paired differences between methods, and ratios."""
    body = ''.join(one.html() for one in table.comparisons(evaluated.comparisons))
    return Section('comparisons', 'Compared query by query', body)


def build(
    evaluated: Evaluated,
    best: Method,
    drawn: Sequence[strips.Failure],
    config: Any,
    more: Sequence[Section] = (),
) -> Report:
    """The whole page.

    Args:
        evaluated: The results.
        best: The method whose failures are drawn.
        drawn: These failures.
        config: The configuration.
        more: Further sections, such as the curve of training.
    """
    first = evaluated.rows[0]
    world = '' if first['seed'] is None else f', world {first["seed"]}'
    people = len({query.person_id for query in evaluated.queries})
    lead = (
        f'<p>{text(first["dataset"])} {text(first["dataset_version"])}{world}: '
        f'{len(evaluated.queries)} queries about {people} people, {first["num_clips"]} clips; '
        f'backbone {text(first["backbone"])}, up to {first["num_references"]} reference photos.</p>'
    )
    sections = [
        paper_table(evaluated),
        curves(evaluated),
        groups(evaluated),
        failures(evaluated, best, drawn),
        controls(evaluated),
        comparisons(evaluated),
        *more,
    ]
    return Report(f'Person-centred video retrieval: {config.name}', lead, sections)
