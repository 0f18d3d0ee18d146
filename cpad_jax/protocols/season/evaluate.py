"""The season protocol: long videos cut into so many clips per minute, a person doing something.

The paper's "real world" scenario. R@K is the share of all relevant clips inside the first K, and
"last rank" the rank of the last relevant one. Reference photos come from the data set of photos,
never from a title of the season.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import build, synthetic_season
from cpad_jax.data.synthetic_cast import SYNTHETIC_CAST, world_spec
from cpad_jax.data.synthetic_season import SeasonPaths
from cpad_jax.errors import UserError
from cpad_jax.methods.conditions import conditions, fine_tuning
from cpad_jax.methods.context import EvalContext
from cpad_jax.protocols.protocol import Outcome, Protocol
from cpad_jax.protocols.season import pictures as season_pictures
from cpad_jax.protocols.season import queries as season_queries
from cpad_jax.protocols.season import report, search, segmentation, table
from cpad_jax.protocols.season.frames import SeasonFrames
from cpad_jax.protocols.season.queries import SeasonQuery, Truth
from cpad_jax.protocols.season.search import Segmentation
from cpad_jax.ranking.references import Reference
from cpad_jax.synthetic.season import SeasonSpec


@dataclasses.dataclass(frozen=True)
class Season:
    """A season, ready to be searched.

    Attributes:
        truth: Who does what when.
        references: person_id → photos, of everybody that queries are about.
        frames: Its embedded frames.
        segmentations: C ways to cut it.
    """

    truth: Truth
    references: dict[str, Reference]
    frames: SeasonFrames
    segmentations: Sequence[Segmentation]


class SeasonProtocol(Protocol[SeasonQuery]):
    """A season, searched in every segmentation before and after fine-tuning on each person.

    Fine-tuning needs a model that keeps photos of other people, to tell a person apart from them.
    """

    page = 'season.html'

    def check(self, config: Any) -> None:
        """See `Protocol`."""
        _check(config.eval.season)

    def queries(self, context: EvalContext) -> list[SeasonQuery]:
        """See `Protocol`; those that every segmentation allows."""
        options, season = context.config.eval.season, self._season(context)
        fewest, most = options.relevant
        built = season_queries.build_queries(
            season.truth,
            [way.segments for way in season.segmentations],
            list(season.references),
            options.min_share,
            fewest,
            most,
        )
        if not built:
            table_file = locate(context.config, context.workdir).table
            raise UserError(
                f'{table_file}: no one of whom there are photos does anything in {fewest} to '
                f'{most} clips; see config.eval.season.relevant and config.eval.season.min_share'
            )
        return built

    def run(self, context: EvalContext, queries: Sequence[SeasonQuery]) -> Outcome:
        """See `Protocol`."""
        config, model, season = context.config, context.model, self._season(context)
        options, truth, frames = config.eval.season, season.truth, season.frames
        people = {query.person_id for query in queries}
        references = {k: v for k, v in season.references.items() if k in people}
        rows = conditions(model, references, fine_tuning(model))
        facts = {
            'dataset': context.data['name'],
            'season': '+'.join(sorted(truth.titles)),
            'backbone': model.clip.config.name,
            'num_references': config.eval.num_references,
            'min_share': options.min_share,
            'moment': options.moment,
            'minutes': round(sum(frames.durations) / 60, 2),
        }
        values, arrays = search.search(
            model, frames, season.segmentations, queries, rows, options.moment
        )
        draws = {'samples': config.eval.bootstrap_samples, 'seed': config.seed}
        seen = {person_id: bool(context.people[person_id]['seen']) for person_id in references}
        read = context.names_read(references)
        results = search.result_rows(
            season.segmentations, queries, rows, values, seen, facts, **draws, read=read
        )
        differences = search.compare(season.segmentations, queries, rows, values, **draws)
        searched = report.Searched(
            results,
            differences,
            truth.videos,
            season.segmentations,
            queries,
            rows,
            values,
            arrays,
        )
        photos = {
            person_id: reference.photos[0]['image'] for person_id, reference in references.items()
        }
        drawn = season_pictures.draw(searched, photos, config.seed)
        tables = table.every(results, differences)
        files = {
            'season.json': results,
            'season_comparisons.json': differences,
            'season_ranks.npz': {
                'query_id': np.array([query.query_id for query in queries]),
                **arrays,
            },
            'season.md': '\n\n'.join(one.markdown() for one in tables) + '\n',
        }
        page = report.build(searched, drawn, config)
        text = '\n\n'.join(one.text() for one in tables)
        return Outcome(results, files, text, page)

    def _season(self, context: EvalContext) -> Season:
        return context.once('season', lambda: _open(context))


PROTOCOL = SeasonProtocol()


def _open(context: EvalContext) -> Season:
    """Reads the table of a season, and embeds its frames."""
    options = context.config.eval.season
    paths = locate(context.config, context.workdir)
    truth = season_queries.read_truth(paths.table, paths.videos)
    references = context.references(sorted(truth.names), truth.titles)
    frames = SeasonFrames(truth.videos, context.image_store, options.frame_rate)
    return Season(
        truth, references, frames, segment(frames, options.clips_per_minute, options.cuts)
    )


def locate(config: Any, workdir: Path) -> SeasonPaths:
    """Finds the season of a configuration; films it where it is a drawn one.

    Args:
        config: `eval.season` and `data` are read. Where `eval.season.videos` is empty the season is
            drawn, of the world that is evaluated on.
        workdir: The run's folder; the drawn season lies in `WORKDIR/season1` (of
            seed 1; `season` of seed 0) unless `eval.season.dir` says where.

    Raises:
        UserError: Videos without a table, a table without videos, or nothing to draw from.
    """
    options = config.eval.season
    if bool(options.videos) != bool(options.annotations):
        given, missing = ('videos', 'annotations') if options.videos else ('annotations', 'videos')
        raise UserError(
            f'config.eval.season.{given} is given and config.eval.season.{missing} is not: give '
            'both, the folder of the videos and the table of who does what in them, or neither'
        )
    if options.videos:
        return SeasonPaths(Path(options.videos), Path(options.annotations))
    data = build.evaluation_data(config)
    if data['name'] != SYNTHETIC_CAST:
        raise UserError(
            f'{data["name"]} has no drawn season: give config.eval.season.videos, a folder, and '
            'config.eval.season.annotations, the table of who does what in them (docs/season.md)'
        )
    spec = SeasonSpec(
        world_spec(data), options.seed, options.episodes, options.minutes, options.cast
    )
    made = Path(workdir) / (f'season{options.seed}' if options.seed else 'season')
    return synthetic_season.ensure_season(options.dir or made, spec)


def segment(
    frames: SeasonFrames, per_minute: Sequence[float], cuts: Sequence[str]
) -> list[Segmentation]:
    """Cuts a season in every way that is queries for.

    Args:
        frames: Of the season.
        per_minute: Clips per minute.
        cuts: Some of `segmentation.CUTS`.
    """
    shots = frames.shots() if segmentation.AT_SHOTS in cuts else []
    ways = []
    for number in per_minute:
        for name in cuts:
            if name == segmentation.EQUAL:
                segments = [segmentation.equal_segments(d, number) for d in frames.durations]
            else:
                segments = [segmentation.shot_segments(of_video, number) for of_video in shots]
            ways.append(Segmentation(number, name, segments))
    return ways


def _check(options: Any) -> None:
    if not 0 < options.min_share <= 1:
        raise UserError(
            f'config.eval.season.min_share is {options.min_share}, expected above 0, at most 1'
        )
    if not 0 < options.frame_rate <= 100:
        raise UserError(
            f'config.eval.season.frame_rate is {options.frame_rate}, expected frames per second, '
            'above 0, at most 100'
        )
    if not 0 <= options.moment <= 3600:
        raise UserError(
            f'config.eval.season.moment is {options.moment}, expected the seconds of a window, at '
            'most 3600, or 0 for whole clips'
        )
    if len(options.relevant) != 2 or not 1 <= options.relevant[0] <= options.relevant[1]:
        raise UserError(
            f'config.eval.season.relevant is {tuple(options.relevant)}, expected the fewest and '
            'the most clips that answer a query, such as 5,25'
        )
    for name in options.cuts:
        if name not in segmentation.CUTS:
            raise UserError(
                f'config.eval.season.cuts names {name!r}, expected some of '
                f'{", ".join(segmentation.CUTS)}'
            )
    if min(options.clips_per_minute, default=1) <= 0:
        raise UserError(
            f'config.eval.season.clips_per_minute is {tuple(options.clips_per_minute)}, expected '
            'numbers above 0'
        )
    for key in ('clips_per_minute', 'cuts'):
        if not len(options[key]):
            raise UserError(f'config.eval.season.{key} is empty, expected at least one')
