"""Holds what evaluation wrote against what is asked: gains over CLIP, order of forms, controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cpad_jax.protocols.compound import comparison, results, table
from cpad_jax.ranking import bootstrap, rows
from cpad_jax.ranking.method import (
    BLURRED_FACES,
    CLIP,
    CLIP_FACES,
    CONTROLS,
    LATE_FUSION,
    NO_PERSON,
    PAD_IMAGE,
    PAD_TEXT,
    PAD_TEXT_IMAGE,
    PERSON_ONLY,
    WITH_FACES,
    WITH_FACES_AND_NAME,
    WRONG_PERSON,
    Method,
)
from cpad_jax.ranking.query import SCENARIOS
from cpad_jax.synthetic.caption_shards import held_out_pairs

SAMPLES, SEED = 2000, 0
# Training photos of a person: label, fewest, most.
PHOTOS = (('0', 0, 0), ('1-5', 1, 5), ('6-20', 6, 20), ('more', 21, np.inf))
KEPT = 0.85  # Of seen people's hits by unseen ones, of other pairs' by held-out ones.
CEILING = 0.20  # Of the controls at hit@1 of action + place.
SLACK = 0.02  # By which a form may fall behind the one that it is to be no worse than.
FORMS = (PAD_TEXT, PAD_IMAGE, PAD_TEXT_IMAGE)
# Whose gains are held against which row of the paper.
GAINED = {form: form for form in FORMS} | {
    WITH_FACES: PAD_IMAGE, WITH_FACES_AND_NAME: PAD_TEXT_IMAGE,
}  # fmt: skip
# What stands in every table by strata.
STRATIFIED = (
    CLIP, *FORMS, CLIP_FACES, LATE_FUSION, WITH_FACES,
)  # fmt: skip
SHORT_CUTS = (
    PERSON_ONLY, NO_PERSON, WRONG_PERSON, BLURRED_FACES,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Ranked:
    """What evaluations of one world wrote, the mean over initial seeds.

    Attributes:
        scenario: str [Q].
        person: str [Q], whom each query is about.
        pair: (action, place) of each query, '' for what it does not say.
        seen: bool [Q].
        hits: `Method.key` → metric ('hit@1', 'hit@5') → [Q], shares of the seeds.
        each: The same by initial seed, [S, Q].
        read: bool [Q], whether plain CLIP has read the name; None where evaluation did not look.
    """

    scenario: np.ndarray
    person: np.ndarray
    pair: list[tuple[str, str]]
    seen: np.ndarray
    hits: dict[str, dict[str, np.ndarray]]
    each: dict[str, dict[str, np.ndarray]]
    read: np.ndarray | None = None

    def cell(self, scenario: str, people: str = 'seen') -> np.ndarray:
        """Which queries are of a scenario, about one of `results.GROUPS`: bool [Q]."""
        return (self.scenario == scenario) & rows.in_group(self.seen, self.read, people)

    def runs(
        self,
        which: np.ndarray,
        a: Method,
        b: Method | None = None,
        metric: str = 'hit@1',
        first_seed: int = 0,
    ) -> list[bootstrap.Run]:
        """A metric of method `a`, or what it is more than of `b`, by initial seed.

        Args:
            which: bool [Q], queries, one or more.
            a: A method.
            b: Another one, or None.
            metric: 'hit@1' or 'hit@5'.
            first_seed: What the first initial seed is called; the others follow.
        """
        values = self.each[a.key][metric]
        if b is not None:
            values = values - self.each[b.key][metric]
        who = self.person[which]
        return [bootstrap.Run(first_seed + n, who, own[which]) for n, own in enumerate(values)]


def read(folders: Sequence[Path]) -> Ranked:
    """Reads `ranks.npz` of one world, one folder per initial seed."""
    loaded = []
    for folder in folders:
        with np.load(folder / 'ranks.npz', allow_pickle=False) as file:
            loaded.append({name: file[name] for name in file.files})
    first = loaded[0]
    ids = [str(name).split('/') for name in first['query_id']]
    ends = np.cumsum(first['num_relevant'])[:-1]
    each: dict[str, dict[str, np.ndarray]] = {}
    for key in first:
        if key in comparison.NO_METHOD or not all(key in one for one in loaded):
            continue
        best = np.array([
            [ranks[0] for ranks in np.split(one[key], ends)] for one in loaded
        ])  # fmt: skip
        each[key] = {f'hit@{k}': (best <= k).astype(float) for k in (1, 5)}
    hits = {
        key: {metric: values.mean(axis=0) for metric, values in own.items()}
        for key, own in each.items()
    }
    pairs = [
        (words[0] if scenario != 'place' else '', words[-1] if scenario != 'action' else '')
        for scenario, _, *words in ids
    ]
    return Ranked(
        scenario=np.array([i[0] for i in ids]), person=np.array([i[1] for i in ids]), pair=pairs,
        seen=first['seen'], hits=hits, each=each, read=first.get('read'),
    )  # fmt: skip


def _difference(
    ranked: Ranked,
    which: np.ndarray,
    a: Method,
    b: Method,
    metric: str = 'hit@1',
) -> dict[str, float]:
    found = bootstrap.over_runs(ranked.runs(which, a, b, metric), SAMPLES, SEED)
    return {'difference': found['mean'], 'low': found['low'], 'high': found['high']}


def _ratio(ranked: Ranked, method: Method, a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    above, below = ranked.runs(a, method), ranked.runs(b, method)
    return bootstrap.ratio_over_runs(above, below, SAMPLES, SEED)


def _verdict(holds: bool) -> str:
    return 'holds' if holds else 'MISSED'


def gains(ranked: Ranked) -> list[str]:
    """Values and paired lower bounds of CLIP-PAD − CLIP, against the paper's, seen people."""
    lines = ["seen people: hit; paired lower bound of the gain over CLIP; the paper's hit and gain"]
    for form, published in GAINED.items():
        if form.key not in ranked.hits:
            continue
        name = f'{form.person_query} + faces' if form != published else form.person_query
        for number, scenario in enumerate(SCENARIOS):
            which = ranked.cell(scenario)
            for place, metric in enumerate(('hit@1', 'hit@5')):
                theirs = table.PAPER[published.key][number][place] / 100
                gain = theirs - table.PAPER[CLIP.key][number][place] / 100
                hit = ranked.hits[form.key][metric][which].mean()
                low = _difference(ranked, which, form, CLIP, metric)['low']
                short = [f'hit by {theirs - hit:.3f}'] if hit < theirs else []
                short += [f'gain by {gain - low:.3f}'] if low < gain else []
                lines.append(
                    f'  {name:<18} {scenario:<12} {metric}  {hit:.3f}  {low:+.3f}   '
                    f'{theirs:.3f}  {gain:+.3f}  {_verdict(not short)} {", ".join(short)}'.rstrip()
                )
    return lines


def orders(ranked: Ranked) -> list[str]:
    """Text + image ≥ image ≥ text, at hit@1."""
    lines = ['order of forms at hit@1, seen people: difference and its 95 % interval']
    for a, b in (
        (PAD_TEXT_IMAGE, PAD_IMAGE),
        (PAD_IMAGE, PAD_TEXT),
    ):
        for scenario in SCENARIOS:
            found = _difference(ranked, ranked.cell(scenario), a, b)
            lines.append(
                f'  {a.person_query} − {b.person_query:<6} {scenario:<12} '
                f'{found["difference"]:+.3f} [{found["low"]:+.3f}, {found["high"]:+.3f}]  '
                f'{_verdict(found["low"] > -SLACK)}'
            )
    return lines


def strangers(ranked: Ranked) -> list[str]:
    """People never seen: photos keep most of the hits, names alone say nothing."""
    lines = ['people never seen, hit@1']
    for scenario in SCENARIOS:
        seen, unseen = ranked.cell(scenario), ranked.cell(scenario, 'unseen')
        if not seen.any() or not unseen.any():
            continue
        kept = _ratio(ranked, PAD_IMAGE, unseen, seen)
        lines.append(
            f'  image {scenario:<12} keeps {kept["ratio"]:.2f} [{kept["low"]:.2f}, '
            f"{kept['high']:.2f}] of seen people's  {_verdict(kept['ratio'] >= KEPT)}"
        )
        if NO_PERSON.key not in ranked.hits:
            continue
        empty = _difference(ranked, unseen, PAD_TEXT, NO_PERSON)
        lines.append(
            f'  text  {scenario:<12} − no person {empty["difference"]:+.3f} [{empty["low"]:+.3f}, '
            f'{empty["high"]:+.3f}]  {_verdict(empty["low"] <= 0 <= empty["high"])}'
        )
    return lines


def controls(ranked: Ranked) -> list[str]:
    """Every control at hit@1, and those that must find next to nothing."""
    lines = [f'controls at hit@1, seen people: {", ".join(SCENARIOS)}']
    for method in CONTROLS:
        if method.key not in ranked.hits:
            continue
        hits = [ranked.hits[method.key]['hit@1'][ranked.cell(s)].mean() for s in SCENARIOS]
        line = f'  {method.control:<14} ' + '  '.join(f'{hit:.3f}' for hit in hits)
        if method in SHORT_CUTS:
            line += f'  {_verdict(hits[-1] < CEILING)}'
        lines.append(line)
    return lines


def held_out(ranked: Ranked) -> list[str]:
    """Pairs that no captioned picture of the backbone's training showed."""
    never, both = held_out_pairs(), ranked.cell('action+place')
    rare = np.array([pair in never for pair in ranked.pair])
    lines = ['action-place pairs held out of pre-training, hit@1 of action + place']
    for form in FORMS:
        kept = _ratio(ranked, form, both & rare, both & ~rare)
        lines.append(
            f'  {form.person_query:<10} {int((both & rare).sum())} queries keep '
            f"{kept['ratio']:.2f} [{kept['low']:.2f}, {kept['high']:.2f}] of the others'  "
            f'{_verdict(kept["ratio"] >= KEPT)}'
        )
    return lines


def strata(ranked: Ranked) -> list[str]:
    """The rows that matter, by whether plain CLIP has read the name."""
    lines = ['by whether plain CLIP has read the name: hit@1 and its 95 % interval']
    for people in rows.STRATA:
        for scenario in SCENARIOS:
            which = ranked.cell(scenario, people)
            if not which.any():
                continue
            who = len(set(ranked.person[which]))
            lines.append(f'  {people}, {scenario}: {int(which.sum())} queries about {who} people')
            for method in STRATIFIED:
                if method.key not in ranked.hits:
                    continue
                found = bootstrap.over_runs(ranked.runs(which, method), SAMPLES, SEED)
                lines.append(
                    f'    {table.label(method.key):<{table.LABEL}} {found["mean"]:.3f} '
                    f'[{found["low"]:.3f}, {found["high"]:.3f}]'
                )
            for a, b in results.IN_STRATA:
                if a.key in ranked.hits and b.key in ranked.hits:
                    found = _difference(ranked, which, a, b)
                    pair = f'{table.label(a.key)} − {table.label(b.key)}'
                    pair = ' '.join(pair.split())
                    lines.append(
                        f'    {pair:<44} {found["difference"]:+.3f} '
                        f'[{found["low"]:+.3f}, {found["high"]:+.3f}]'
                    )
    return lines if len(lines) > 1 else []


def by_photos(ranked: Ranked, photos: Mapping[str, int]) -> list[str]:
    """What text + image gains over text, by how many training photos somebody has.

    Args:
        ranked: Of one world.
        photos: person_id → training photos, 0 for people never seen.
    """
    lines = ['text + image − text at hit@1, all scenarios, by training photos of the person']
    counts = np.array([photos[person] for person in ranked.person])
    for name, low, high in PHOTOS:
        which = (counts >= low) & (counts <= high)
        if which.any():
            found = _difference(ranked, which, PAD_TEXT_IMAGE, PAD_TEXT)
            text, both = (
                ranked.hits[form.key]['hit@1'][which].mean() for form in (PAD_TEXT, PAD_TEXT_IMAGE)
            )
            lines.append(
                f'  {name:<5} {int(which.sum()):>5} queries  text {text:.3f}  text+image '
                f'{both:.3f}  {found["difference"]:+.3f} '
                f'[{found["low"]:+.3f}, {found["high"]:+.3f}]'
            )
    return lines


def render(ranked: Ranked, photos: Mapping[str, int]) -> str:
    """The whole report on one world."""
    parts = (
        gains(ranked), strata(ranked), orders(ranked), strangers(ranked), controls(ranked),
        held_out(ranked), by_photos(ranked, photos),
    )  # fmt: skip
    return '\n\n'.join('\n'.join(part) for part in parts if part)
