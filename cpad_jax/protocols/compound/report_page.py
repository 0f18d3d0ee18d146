"""The page `report.html` of an evaluation, put together of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpad_jax.protocols.compound import report
from cpad_jax.ranking import method
from cpad_jax.report import page, run_facts, strips


def build(
    found: report.Outcome,
    shown: method.Method,
    failures: Sequence[strips.Failure],
    said: Mapping[str, str],
    config: Any,
    more: Sequence[page.Section] = (),
) -> str:
    """The whole page.

    Args:
        found: What came out.
        shown: The method whose failures are shown.
        failures: Those that are drawn.
        said: From `run_facts.collect`.
        config: The configuration.
        more: Further parts, such as a season's timeline or the curve of training, which stand
            before the facts of the run.
    """
    first = found.rows[0]
    world = '' if first['seed'] is None else f', world {first["seed"]}'
    people = len({query.person_id for query in found.asked})
    lead = (
        f'<p>{page.text(first["dataset"])} {page.text(first["dataset_version"])}{world}: '
        f'{len(found.asked)} queries about {people} people, {first["num_clips"]} clips; backbone '
        f'{page.text(first["backbone"])}, up to {first["num_references"]} reference photos.</p>'
    )
    return page.render(
        f'Person-centred video retrieval: {config.name}',
        lead,
        [
            report.paper_table(found),
            report.curves(found),
            report.groups(found),
            report.failures(found, shown, failures),
            report.controls(found),
            report.comparisons(found),
            *more,
            page.Section('run', 'The run', run_facts.render(said, config)),
        ],
    )
