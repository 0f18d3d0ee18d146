"""Validation curves of a training by step, and the chosen step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cpad_jax.report import charts
from cpad_jax.report.charts import Series
from cpad_jax.report.page import Section, text

_SHARES = {'map': 'mAP', 'hit@1': 'hit@1'}
_LOSSES = {'loss': 'loss on validation clips', 'training_loss': 'loss on training clips'}
_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 220, 44, 20, 18, 38
_TICKS = 4


def _nice(largest: float) -> float:
    """The end of an axis from 0 on: 1, 2, 4 or 8 times a power of ten, at least `largest`."""
    if not largest > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next(n * power for n in (1, 2, 4, 8, 10) if n * power >= largest * (1 - 1e-9))


def chart(
    title: str,
    steps: Sequence[int],
    lines: Sequence[tuple[Series, Sequence[float]]],
    chosen: int | None,
) -> str:
    """Values by step.

    Args:
        title: What the chart shows, plain text.
        steps: S steps, ascending, >= 0.
        lines: (series, S values >= 0).
        chosen: The step to mark, if any.
    """
    end = steps[-1] or 1
    top = _nice(max(value for _, values in lines for value in values))
    bottom = _HEIGHT - _BOTTOM

    def x(step: float) -> float:
        return _LEFT + (charts.WIDTH - _LEFT - _RIGHT) * step / end

    def y(value: float) -> float:
        return bottom - (bottom - _TOP) * value / top

    parts = []
    for tick in range(_TICKS + 1):
        value, step = top * tick / _TICKS, end * tick / _TICKS
        parts.append(
            f'<line class="rule" x1="{_LEFT}" x2="{charts.WIDTH - _RIGHT}" y1="{y(value):.1f}" '
            f'y2="{y(value):.1f}"/><text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" '
            f'text-anchor="end">{value:.3g}</text>'
            f'<text x="{x(step):.1f}" y="{bottom + 16}" text-anchor="middle">{step:g}</text>'
        )
    middle = (_LEFT + charts.WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 5}" text-anchor="middle">step</text>')
    if chosen is not None:
        parts.append(
            f'<line x1="{x(chosen):.1f}" x2="{x(chosen):.1f}" y1="{_TOP}" y2="{bottom}" '
            f'stroke="var(--ink)" stroke-dasharray="4 3"><title>chosen: step {chosen}</title>'
            '</line>'
        )
    for one, values in lines:
        path = ' '.join(f'{x(s):.1f},{y(v):.1f}' for s, v in zip(steps, values, strict=True))
        parts.append(
            f'<polyline points="{path}" fill="none" stroke-width="2" {charts.stroke(one.number)}/>'
        )
        parts += [
            f'<circle cx="{x(step):.1f}" cy="{y(value):.1f}" r="2.5" fill="{one.fill}">'
            f'<title>{text(one.label)}, step {step}: {value:.4g}</title></circle>'
            for step, value in zip(steps, values, strict=True)
        ]
    description = '; '.join(
        f'{one.label} from {values[0]:.4g} at step {steps[0]} to {values[-1]:.4g} at {steps[-1]}'
        for one, values in lines
    )
    return charts.figure(title, description, _HEIGHT, parts)


def section(curve: Sequence[Mapping[str, float]], chosen: int | None) -> Section:
    """The training of Collaborative Experts.

    Args:
        curve: Of `validation_curve.read`; empty for no section.
        chosen: The exported step, or None where it is not known.
    """
    if not curve:
        return Section('learning', 'Training of CE', '')
    steps = [int(entry['step']) for entry in curve]
    drawn, key = [], []
    for title, names, scale in (
        ('retrieval of validation clips, percent', _SHARES, 100),
        ('loss', _LOSSES, 1),
    ):
        lines = [
            (Series(label, len(key) + place), [scale * entry[name] for entry in curve])
            for place, (name, label) in enumerate(names.items())
        ]
        key += [one for one, _ in lines]
        drawn.append(chart(title, steps, lines, chosen))
    words = 'Evaluated during training on clips of other titles.'
    for entry in curve:
        if entry['step'] == chosen:
            words += (
                f' Step {chosen} of {steps[-1]} was chosen (dashed): mAP {100 * entry["map"]:.1f}, '
                f'hit@1 {100 * entry["hit@1"]:.1f}.'
            )
    body = f'<p>{words}</p>{charts.legend(key)}<div class="charts">{"".join(drawn)}</div>'
    return Section('learning', 'Training of CE', body)
