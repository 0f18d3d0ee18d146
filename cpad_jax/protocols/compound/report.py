"""The parts of the page that show numbers: the paper's table, curves, bars, failures, controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.protocols.compound import table
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
from cpad_jax.ranking.rows import STRATA
from cpad_jax.report import charts, strips
from cpad_jax.report.page import Section, grid, name, text

CUTOFFS = (1, 2, 5, 10, 20, 50, 100)
# The two that bars compare.
COMPARED = (CLIP, PAD_TEXT_IMAGE)
_FEWEST = 3  # Queries about somebody, for a bar of their own.
_ENDS = 8  # People with the most hits, and as many with the fewest.
_WORST = 15


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an evaluation found.

    Attributes:
        rows: Of `results.json`.
        comparisons: Of `comparisons.json`.
        asked: Q queries.
        first: Method → float [Q], rank of the first right clip; controls may be among them.
        samples: Bootstrap draws.
        seed: Seed of the draws.
    """

    rows: Sequence[Mapping[str, Any]]
    comparisons: Sequence[Mapping[str, Any]]
    asked: Sequence[Query]
    first: Mapping[Method, np.ndarray]
    samples: int
    seed: int

    @property
    def methods(self) -> list[Method]:
        """Those that are no control."""
        return [method for method in self.first if method.control is None]

    @property
    def scenarios(self) -> list[str]:
        """Those that were asked, in the order of the paper."""
        return [s for s in SCENARIOS if any(query.scenario == s for query in self.asked)]

    def series(self, methods: Sequence[Method]) -> list[charts.Series]:
        """Their labels and colours."""
        return [charts.Series(label(method), self.methods.index(method)) for method in methods]


def label(method: Method) -> str:
    """What a method is called, e.g. 'CLIP-PAD, text+image' or 'CLIP-PAD: wrong person'."""
    if method.control:
        return f'{method.name}: {method.control}'
    return f'{method.name}, {method.person_query}'


def _cells(found: Outcome, key: str, scenarios: Sequence[str], people: str) -> list[str]:
    cells = []
    for scenario in scenarios:
        row = table.find(found.rows, key, scenario, people)
        cells += [
            table.percent(row, 'hit@1', bounds=True),
            table.percent(row, 'hit@5', bounds=False),
        ]
    return [text(cell) for cell in cells]


def _heads(scenarios: Sequence[str], before: str = '') -> list[str]:
    # A plus sign after which the line may break keeps columns narrow.
    words = [text(scenario).replace('+', '+<wbr>') for scenario in scenarios]
    return [f'{before}{word}<br>@{k}' for word in words for k in (1, 5)]


def paper_table(found: Outcome) -> Section:
    """The paper's table, with the paper's own numbers beside ours, and people never seen."""
    scenarios = found.scenarios
    lines = []
    for m in dict.fromkeys([CE, *found.methods]):
        theirs = [number for s in scenarios for number in table.paper_values(m.key, s)]
        ours = _cells(found, m.key, scenarios, 'seen')
        lines.append([text(m.name), text(m.person_query), *ours, *theirs])
    body = grid(
        ['Method', 'person query', *_heads(scenarios), *_heads(scenarios, 'paper: ')], lines,
        'People seen in identity learning: hit@1 and hit@5 in percent, ± half of the 95 % interval '
        '(people drawn anew)', labels=2,
    )  # fmt: skip
    first = found.rows[0]
    rebuilt = first['dataset'] == 'celebrities_in_action'
    note = ' '.join(table.REBUILT_NOTE if rebuilt else table.PAPER_NOTE)
    if first['relevance'] == 'clip':
        note += ' ' + table.CLIP_RELEVANCE_NOTE
    if CE not in found.methods:
        note += ' This run has no CE: config.eval.ce names one.'
    if PAD_MEMORY in found.methods:
        note += ' Name memory: behind the name stands the mean token of the photos of training.'
    body += f'<p class="faint">{text(note, 500)}</p>'
    for people, who in STRATA.items():
        if any(row['people'] == people for row in found.rows):
            lines = [
                [text(m.name), text(m.person_query), *_cells(found, m.key, scenarios, people)]
                for m in found.methods if m.key in table.STRATIFIED or people == 'unseen'
            ]  # fmt: skip
            body += grid(['Method', 'person query', *_heads(scenarios)], lines, who, labels=2)
    return Section('table', 'Results', body)


def share(found: Outcome, which: np.ndarray, hits: np.ndarray) -> charts.Point:
    """The mean of `hits` [Q] over queries `which`, people drawn anew."""
    people = np.array([found.asked[number].person_id for number in which])
    draws = bootstrap.PersonBootstrap(people, found.samples, found.seed)
    return charts.Point(float(hits[which].mean()), *draws.mean_bounds(hits[which]))


def curves(found: Outcome) -> Section:
    """How many queries have a right clip among the first K, for K from 1 to 100."""
    clips = found.rows[0]['num_clips']
    at = [k for k in CUTOFFS if k <= clips]
    series = found.series(found.methods)
    drawn = []
    for scenario in found.scenarios:
        seen = ranking_rows.group(found.asked, scenario, 'seen')
        if not len(seen):
            continue
        lines = [
            (one, [share(found, seen, (found.first[method] <= k) * 1.0) for k in at])
            for one, method in zip(series, found.methods, strict=True)
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


def _bars(found: Outcome, title: str, groups: Mapping[str, Sequence[int]]) -> str:
    methods = [method for method in COMPARED if method in found.first]
    drawn = []
    for words, numbers in groups.items():
        which = np.asarray(numbers)
        points = [share(found, which, (found.first[m] <= 1) * 1.0) for m in methods]
        drawn.append((words, len(which), points))
    return charts.bars(title, found.series(methods), drawn) if drawn else ''


def _people(found: Outcome) -> dict[str, list[int]]:
    """The people with the most hits and with the fewest, by name and id where names are shared."""
    best = found.first[[m for m in COMPARED if m in found.first][-1]]
    by_person: dict[str, list[int]] = {}
    for number, query in enumerate(found.asked):
        by_person.setdefault(query.person_id, []).append(number)
    asked = {who: own for who, own in by_person.items() if len(own) >= _FEWEST}
    order = sorted(asked, key=lambda who: (-(best[asked[who]] <= 1).mean(), who))
    ends = order if len(order) <= 2 * _ENDS else order[:_ENDS] + order[-_ENDS:]
    names = [found.asked[asked[who][0]].name for who in ends]
    return {
        one if names.count(one) == 1 else f'{one} ({who})': asked[who]
        for one, who in zip(names, ends, strict=True)
    }


def groups(found: Outcome) -> Section:
    """Hits at 1 by action, by place, and by person."""
    by: dict[str, dict[str, list[int]]] = {'action': {}, 'place': {}}
    for number, query in enumerate(found.asked):
        if query.seen:
            for kind, own in by.items():
                if getattr(query, kind):
                    own.setdefault(getattr(query, kind), []).append(number)
    drawn = [
        _bars(found, f'By {kind}: hit@1 in percent, seen people', dict(sorted(own.items())))
        for kind, own in by.items()
    ]
    people = _people(found)
    drawn.append(_bars(
        found, f'By person: of those with {_FEWEST} queries or more, the {len(people)} with the '
        'most and the fewest hits', people,
    ))  # fmt: skip
    drawn = [chart for chart in drawn if chart]
    if not drawn:
        return Section('groups', 'Actions, places, people', '')
    key = charts.legend(found.series([m for m in COMPARED if m in found.first]))
    note = '<p>All queries that name it, alone or with a place or an action.</p>'
    return Section(
        'groups', 'Actions, places, people',
        f'{note}{key}<div class="charts">{"".join(drawn)}</div>',
    )  # fmt: skip


def _words(query: Query) -> str:
    return ' · '.join([name(query.name), *(text(w) for w in (query.action, query.place) if w)])


def failures(found: Outcome, method: Method, drawn: Sequence[strips.Failure]) -> Section:
    """How many queries fail by a method, the worst of them, and strips of some drawn by chance."""
    first = found.first[method]
    failing = first > strips.FOUND_BY
    if not failing.any():
        return Section('failures', 'Queries that fail', '')
    lines = []
    for scenario in found.scenarios:
        own = np.array([query.scenario == scenario for query in found.asked])
        lines.append([
            text(scenario), str(int(own.sum())), str(int((failing & own).sum())),
            f'{100 * failing[own].mean():.1f}', f'{np.median(first[own]):.0f}',
        ])  # fmt: skip
    body = f'<p>A query fails by {text(label(method))} if none of the first {strips.FOUND_BY} clips'
    body += ' answers it. All people.</p>'
    body += grid(
        ['Scenario', 'queries', 'fail', '%', 'median rank'], lines, 'How many queries fail'
    )
    worst = sorted(np.flatnonzero(failing), key=lambda number: -first[number])[:_WORST]
    body += grid(
        ['Query', 'seen', 'answers', *(text(label(m)) for m in found.methods)],
        [
            [
                _words(found.asked[n]), 'yes' if found.asked[n].seen else 'no',
                str(len(found.asked[n].relevant)),
                *(f'{found.first[m][n]:.0f}' for m in found.methods),
            ]
            for n in worst
        ],
        f'The {len(worst)} that fail worst: rank of the first right clip by every method',
    )  # fmt: skip
    if pictures := strips.render(drawn):
        body += (
            '<p>Some of them, drawn by chance: the photo that asks, the five clips that stand '
            'first, and one that should.</p>' + pictures
        )
    return Section('failures', 'Queries that fail', body)


# What a control takes from its method, or puts in the place of it.
CHANGED = {
    NO_PERSON.control: 'nobody is named',
    PERSON_ONLY.control: 'neither action nor place is said',
    WRONG_PERSON.control: "somebody else's name and photos",
    WRONG_PHOTO.control: "the right name, somebody else's photos",
    FIRST_FRAME.control: 'of each clip only the first frame',
    SHUFFLED_FRAMES.control: 'the order of the frames',
    BLURRED_FACES.control: 'heads in the clips are blurred, face and hair',
    FACE_ONLY.control: 'in the photos all but the face is grey',
    HAIR_ONLY.control: 'in the photos eyes, nose and mouth are one colour',
}


def controls(found: Outcome) -> Section:
    """What each control still finds."""
    present = [method for method in found.first if method.control is not None]
    if not present:
        return Section('controls', 'Controls', '')
    lines = [
        [text(label(m)), CHANGED[m.control], *_cells(found, m.key, found.scenarios, 'seen')]
        for m in present
    ]
    body = grid(
        ['Control', 'what is changed', *_heads(found.scenarios)], lines,
        'How often the clip of the right person is found, seen people, in percent', labels=2,
    )  # fmt: skip
    return Section('controls', 'Controls', body)


def comparisons(found: Outcome) -> Section:
    """Paired differences between methods, and ratios."""
    lines = []
    for item in found.comparisons:
        if item['metric'] != 'hit@1':
            continue
        ratio = item['kind'] == 'ratio'
        what = item['what'] if ratio else f'{item["a"]} − {item["b"]}'.replace('/', ' ')
        values = [item[k] for k in ('ratio' if ratio else 'difference', 'low', 'high')]
        form = '× {:.2f}' if ratio else '{:+.1f}'
        cells = ['–' if v is None else form.format(v if ratio else 100 * v) for v in values]
        people = item.get('people', 'seen')
        lines.append([text(item['scenario']), text(people), text(what), *cells])
    if not lines:
        return Section('comparisons', 'Compared query by query', '')
    body = grid(
        ['Scenario', 'people', 'what', 'difference or ratio', 'from', 'to'], lines,
        'hit@1 on the same queries, in points, with its 95 % interval (people drawn anew)',
        labels=3,
    )  # fmt: skip
    return Section('comparisons', 'Compared query by query', body)
