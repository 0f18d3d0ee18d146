"""The compound protocol: a person with an action, a place, or both, as in the paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.methods import face_similarity, fusion, registry
from cpad_jax.methods.ce import export, scorer
from cpad_jax.methods.clip import PlainCLIP
from cpad_jax.methods.context import EvalContext
from cpad_jax.protocols import no_person
from cpad_jax.protocols.compound import (
    examples,
    failures,
    queries,
    report,
    results,
    table,
)
from cpad_jax.protocols.protocol import Outcome, Protocol
from cpad_jax.ranking import method as ranking_method
from cpad_jax.ranking import metrics, query_photos
from cpad_jax.ranking import rows as ranking_rows
from cpad_jax.ranking.method import Method
from cpad_jax.ranking.query import Query
from cpad_jax.ranking.scorers import Cosine, Scorer, rank_all
from cpad_jax.report import learning
from cpad_jax.report.page import Section
from cpad_jax.training import validation_curve


class CompoundProtocol(Protocol[Query]):
    """Every compound query that the data allows, by CLIP-PAD, CLIP and further methods."""

    def check(self, config: Any) -> None:
        """See `Protocol`."""
        options = config.eval
        ranking_method.controls(options.controls)
        registry.rows(options.methods)
        if any(name in fusion.ROWS for name in options.methods):
            face_similarity.check(config.features.face)
        queries.check(options.scenarios, 'config.eval.scenarios')
        if options.ce:
            export.check_there(scorer.model_folder(options.ce))

    def queries(self, context: EvalContext) -> list[Query]:
        """See `Protocol`; each query says whether plain CLIP has read the name."""
        options, clips = context.config.eval, context.clips
        built = queries.build_queries(
            context.labels,
            context.people,
            context.photos_of,
            scenarios=options.scenarios,
            num_references=options.num_references,
            min_distractors=options.min_distractors,
            actions=clips.actions,
            places=clips.places,
            relevance=clips.relevance,
        )
        if not built:
            raise UserError(
                f'{context.paths.clips}: no query has {options.min_distractors} clips of the same '
                'person otherwise and as many of the same action or place without them: build a '
                'larger data set, or lower --config.eval.min_distractors'
            )
        read = context.names_read({query.person_id for query in built})
        return [dataclasses.replace(query, read=read[query.person_id]) for query in built]

    def run(self, context: EvalContext, queries: Sequence[Query]) -> Outcome:
        """See `Protocol`."""
        config = context.config
        draws = {'samples': config.eval.bootstrap_samples, 'seed': config.seed}
        values: dict[Method, dict[str, np.ndarray]] = {}
        ranks: dict[str, np.ndarray] = {}

        def use(method: Method, of_queries: list[np.ndarray]) -> None:
            values[method] = metrics.query_metrics(of_queries)
            ranks[method.key] = np.concatenate(of_queries)

        ranked = Ranked(context, queries)
        rank_all(ranked.scorers, queries, use)
        facts = context.facts | {
            'relevance': context.clips.relevance,
            'num_clips': len(context.clips),
        }
        rows = ranking_rows.result_rows(queries, values, facts, **draws)
        comparisons = results.compare(queries, values, **draws)
        files: dict[str, Any] = {
            'results.json': rows,
            'comparisons.json': comparisons,
            'table.md': table.render(rows, comparisons, markdown=True),
            'ranks.npz': {
                'query_id': np.array([query.query_id for query in queries]),
                'seen': np.array([query.seen for query in queries]),
                'read': np.array([bool(query.read) for query in queries]),
                'num_relevant': np.array([len(query.relevant) for query in queries]),
                **ranks,
            },
        }
        text, sections = table.render(rows, comparisons), []
        if without := _without_person(ranked):
            files['no_person.json'] = without
            without_person = no_person.table(without)
            text += '\n' + without_person.text()
            sections.append(Section('no-person', 'Queries without a person', without_person.html()))
        if config.eval.ce:
            ce = Path(config.eval.ce)
            curve = validation_curve.read(ce)
            sections.append(learning.section(curve, validation_curve.chosen_step(ce)))
        first = values[ranking_method.PAD_TEXT_IMAGE]['median_rank']
        best = Cosine(ranking_method.PAD_TEXT_IMAGE, context.encoder, context.gallery)
        files['examples.jpg'] = examples.draw(context, queries, best, first)
        evaluated = report.Evaluated(
            rows,
            comparisons,
            queries,
            {method: metric['median_rank'] for method, metric in values.items()},
            **draws,
        )
        strips = failures.choose(context, queries, best, first)
        page = report.build(evaluated, best.method, strips, config, sections)
        return Outcome(rows, files, text, page)


PROTOCOL = CompoundProtocol()


class Ranked:
    """The scorers of an evaluation: one for each method and control.

    Args:
        context: Of the evaluation.
        queries_: All queries.

    Attributes:
        paper: The rows of the paper.
        scorers: All rows, in the order of the table.
    """

    def __init__(self, context: EvalContext, queries_: Sequence[Query]):
        options, self.context = context.config.eval, context
        controls = ranking_method.controls(options.controls)
        galleries = context.galleries(controls)
        spoiled = query_photos.spoiled(
            context.store, context.paths, context.reference_photos, queries_, controls
        )
        impostors = queries.impostors(queries_, context.config.seed)
        encoder = context.encoder.with_controls(impostors, spoiled)

        def gallery(control: Method) -> np.ndarray:
            if control.name == ranking_method.CLIP.name:
                return context.plain_gallery
            return galleries.get(control.control, galleries[None])

        self.paper = registry.make(registry.paper_rows(context), context)
        self.scorers: list[Scorer] = [
            *self.paper,
            *(
                Cosine(control, encoder, gallery(control))
                for control in controls
                if control not in ranking_method.SPOILED_PHOTOS or control.control in spoiled
            ),
            *registry.make(registry.possible(options.methods), context),
        ]


def _without_person(ranked: Ranked) -> list[dict[str, Any]]:
    """The rows of `no_person.json`: methods trained on clips, beside plain CLIP."""
    context, config, model = ranked.context, ranked.context.config, ranked.context.model
    clips, gallery = context.clips, context.plain_gallery
    scorers = [row for row in ranked.paper if row.method == ranking_method.CE]
    if model.saved.config.clip_width:
        adapted = model.adapt_clips(gallery)
        scorers.append(PlainCLIP(model.clip, adapted, no_person.ADAPTED))
    if not scorers:
        return []
    built = no_person.build_queries(context.labels, clips.actions, clips.places, clips.relevance)
    return no_person.compare(
        [*scorers, PlainCLIP(model.clip, gallery)],
        built,
        config.eval.bootstrap_samples,
        config.seed,
    )
