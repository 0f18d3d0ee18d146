"""An outcome with everything that a report shows, of made-up ranks and people with nasty names."""

import numpy as np

from cpad_jax.protocols import protocol
from cpad_jax.protocols.compound import report, results
from cpad_jax.ranking import method as ranking_method
from cpad_jax.ranking import metrics
from cpad_jax.ranking import rows as ranking_rows
from cpad_jax.ranking.query import Query
from cpad_jax.report import strips

NASTY = '<script>alert("1")</script>'
BREAKING = '"><img src=x onerror=alert(2)>\'&amp;'
LONG = 'Maximilian-Ferdinand von und zu Hohenlohe-Waldenburg-Schillingsfuerst ' * 4
NAMES = (NASTY, BREAKING, LONG, 'Ann Lee', 'Ann Lee', 'עדה \u202elovelace')
FACTS = {
    'dataset': 'drawn <b>world</b>', 'dataset_version': '1.0.0', 'split': 'test', 'seed': 7,
    'backbone': 'testing', 'face_feature': 'clip', 'num_references': 5, 'relevance': 'person',
    'num_clips': 500,
}  # fmt: skip
METHODS = (*ranking_method.METHODS, ranking_method.NO_PERSON, ranking_method.WRONG_PERSON)


def asked():
    """Queries about six people, of whom the last was never seen."""
    found = []
    for number, name in enumerate(NAMES):
        for scenario, action, place in (
            ('action', 'Eat', None), ('action', 'Run', None), ('place', None, 'INT-shop'),
            ('action+place', 'Eat', 'INT-shop'),
        ):  # fmt: skip
            words = '/'.join(filter(None, (action, place)))
            found.append(Query(
                f'{scenario}/p{number}/{words}', scenario, f'p{number}', name, number < 5, action,
                place, (3, 4), ('photo',),
            ))  # fmt: skip
    return found


def make(seed=0):
    """(Outcome, what `metrics.query_metrics` said of each method)."""
    rng = np.random.default_rng(seed)
    queries_ = asked()
    values = {
        method: metrics.query_metrics(
            [np.sort(rng.choice(np.arange(1, 40), 2, replace=False)) for _ in queries_]
        )
        for method in METHODS
    }
    rows = ranking_rows.result_rows(queries_, values, FACTS, 50, 0)
    found = report.Evaluated(
        rows, results.compare(queries_, values, 50, 0), queries_,
        {method: own['median_rank'] for method, own in values.items()}, 50, 0,
    )  # fmt: skip
    return found, values


def failures(found, count=3):
    """Failures with pictures of noise, the largest that JPEG makes."""
    rng = np.random.default_rng(1)

    def picture(right):
        noise = rng.integers(0, 256, (120, 160, 3), np.uint8)
        return strips.Picture(noise, 'somebody else; the place', right)

    return [
        strips.Failure(query, f'{query.name} [TOK] eating', 9,
                       [picture(None), *(picture(i == 4) for i in range(5))])
        for query in found.queries[:: len(found.queries) // 5][:count]
    ]  # fmt: skip


def page(found, method, failing, facts, config, more=()):
    """The whole page as HTML."""
    return protocol.render(report.build(found, method, failing, config, more), facts, config)
