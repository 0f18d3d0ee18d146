"""The interface of evaluation protocols, and the one function that runs them."""

from __future__ import annotations

import abc
import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from cpad_jax import atomic
from cpad_jax.methods.context import EvalContext
from cpad_jax.printable import say
from cpad_jax.report import page, run_facts

Q = TypeVar('Q')


@dataclasses.dataclass(frozen=True)
class Report:
    """The page of an evaluation.

    Attributes:
        title: Plain text.
        lead: HTML below the title.
        sections: Its parts; the facts of the run come last by themselves.
    """

    title: str
    lead: str
    sections: Sequence[page.Section]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The results of an evaluation.

    Attributes:
        rows: What `results.json`, or the like, holds.
        files: Name → content: JSON values for '.json', arrays by name for '.npz', text, or bytes.
        text: The tables for a terminal.
        report: The page; None for protocols without one.
    """

    rows: Any
    files: Mapping[str, Any]
    text: str
    report: Report | None = None


class Protocol(abc.ABC, Generic[Q]):
    """An evaluation protocol; a module of a protocol has one as `PROTOCOL`.

    Attributes:
        folder: Where its files go, within the workdir.
        page: The file of its page.
    """

    folder = 'eval'
    page = 'report.html'

    def check(self, config: Any) -> None:
        """Refuses a configuration before any long work.

        Raises:
            UserError: A value of `config.eval` is out of range or unknown; it is named.
        """

    @abc.abstractmethod
    def queries(self, context: EvalContext) -> Sequence[Q]:
        """The queries, with the clips that are relevant to each.

        Raises:
            UserError: The data allows none.
        """

    @abc.abstractmethod
    def run(self, context: EvalContext, queries: Sequence[Q]) -> Outcome:
        """Ranks the gallery for the queries by every method."""


def evaluate(
    protocol: Protocol[Any], config: Any, workdir: str | Path, folder: Path | None = None
) -> Any:
    """Runs a protocol, prints its tables and writes its files.

    Args:
        protocol: The protocol.
        config: The configuration.
        workdir: The run's folder, of a finished training.
        folder: Where the files go; None for the protocol's folder in `workdir`.

    Returns:
        The rows of the outcome.

    Raises:
        UserError: A value of the configuration is refused, there is no model, or the data allows no
            query.
    """
    start = time.perf_counter()
    protocol.check(config)
    context = EvalContext(config, workdir)
    outcome = protocol.run(context, protocol.queries(context))
    folder = folder or context.workdir / protocol.folder
    for name, content in outcome.files.items():
        _write(folder / name, content)
    if outcome.report is not None:
        facts = run_facts.collect(config, context.facts, time.perf_counter() - start)
        _write(folder / protocol.page, render(outcome.report, facts, config))
    say(outcome.text)
    say(f'results are in {folder}', sys.stderr)
    return outcome.rows


def render(report: Report, facts: Mapping[str, str], config: Any) -> str:
    """The HTML of a report.

    Args:
        report: The report.
        facts: Facts of the run, from `run_facts.collect`.
        config: The configuration.
    """
    run = page.Section('run', 'The run', run_facts.render(facts, config))
    return page.render(report.title, report.lead, [*report.sections, run])


def _write(path: Path, content: Any) -> None:
    if path.suffix == '.json':
        atomic.write_json(path, content)
    elif path.suffix == '.npz':
        with atomic.writing(path) as temporary:
            np.savez(temporary, **content)
    else:
        data = content if isinstance(content, bytes) else content.encode('utf-8', 'replace')
        atomic.write_bytes(path, data)
