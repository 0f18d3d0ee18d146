import numpy as np
import pytest

from cpad_jax.ranking.query import appearances, is_relevant
from cpad_jax.training.clip_labels import ANY, label_clips

# Ann eats and Bob drives in place 1; both are there, and a third who does nothing.
CLIP = {
    'clip_id': 'c', 'title': 't', 'place': 1, 'actions': [0, 2],
    'people': [
        {'person_id': 'ann', 'actions': [0]}, {'person_id': 'bob', 'actions': [2]},
        {'person_id': 'cy', 'actions': []},
    ],
}  # fmt: skip
UNLABELLED = CLIP | {'people': [{'person_id': 'ann', 'actions': []}]}
EMPTY = CLIP | {'people': []}


@pytest.mark.parametrize(
    ('clip', 'query', 'relevant'),
    [
        (CLIP, {}, True),
        (CLIP, {'person_id': 'ann'}, True),
        (CLIP, {'person_id': 'dee'}, False),
        (CLIP, {'action': 2}, True),
        (CLIP, {'action': 1}, False),
        (CLIP, {'place': 1}, True),
        (CLIP, {'place': 0}, False),
        (CLIP, {'person_id': 'ann', 'action': 0, 'place': 1}, True),
        (CLIP, {'person_id': 'ann', 'action': 0, 'place': 0}, False),
        # Bob does it, not Ann: one person has to match both.
        (CLIP, {'person_id': 'ann', 'action': 2}, False),
        (CLIP, {'person_id': 'cy', 'action': 0}, False),
        (CLIP, {'person_id': 'cy', 'action': 0, 'relevance': 'clip'}, False),
        (UNLABELLED, {'person_id': 'ann', 'action': 0}, False),
        (UNLABELLED, {'person_id': 'ann', 'action': 0, 'relevance': 'clip'}, True),
        (UNLABELLED, {'person_id': 'bob', 'action': 0, 'relevance': 'clip'}, False),
        (UNLABELLED, {'action': 1, 'relevance': 'clip'}, False),
        (EMPTY, {}, False),
        (EMPTY, {'place': 1}, False),
        (EMPTY, {'action': 0, 'relevance': 'clip'}, False),
    ],
)
def test_one_person_of_the_clip_matches_the_whole_query(clip, query, relevant):
    assert is_relevant(clip, **query) is relevant


def test_appearances_are_by_person_in_the_order_of_the_clips():
    by_person = appearances([CLIP, EMPTY, UNLABELLED], 'clip')
    assert list(by_person) == ['ann', 'bob', 'cy']
    assert [(one.clip, sorted(one.actions)) for one in by_person['ann']] == [(0, [0]), (2, [0, 2])]


@pytest.mark.parametrize('relevance', ['person', 'clip'])
def test_labels_of_all_clips_agree_with_the_predicate(relevance):
    rng = np.random.default_rng(0)
    ids = ['ann', 'bob', 'cy', 'unknown']
    clips = []
    for _ in range(40):
        people = [
            {'person_id': str(who), 'actions': rng.choice(4, rng.integers(3), replace=False)}
            for who in rng.choice(ids, rng.integers(4), replace=False)
        ]
        clips.append({'place': int(rng.integers(-1, 3)), 'actions': rng.choice(4, 2),
                      'people': people})  # fmt: skip
    numbers = {'ann': 0, 'bob': 1, 'cy': 2}
    queries = [
        (person, action, place)
        for person in (ANY, 0, 1, 2)
        for action in (ANY, 0, 1, 2, 3)
        for place in (ANY, 0, 1, 2)
    ]
    labels = label_clips(clips, numbers, 4, relevance)
    relevant = labels.relevant(*np.array(queries).T)
    expected = [
        [
            is_relevant(
                clip, *(None if number == ANY else value for number, value in
                        ((person, ids[person]), (action, action), (place, place))), relevance,
            )
            for clip in clips
        ]
        for person, action, place in queries
    ]  # fmt: skip
    np.testing.assert_array_equal(relevant, expected)
    assert 0 < relevant.mean() < 1
