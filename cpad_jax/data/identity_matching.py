"""People that two data sets share: learned from one, and queried in the other."""

from __future__ import annotations

from collections.abc import Sequence

from cpad_jax.data.built_dataset import PersonEntry
from cpad_jax.text import person_names


def mark_seen(people: Sequence[PersonEntry], learned: Sequence[PersonEntry]) -> list[PersonEntry]:
    """Says of everybody in a table whether they were learned from another data set.

    Two entries are the same person if their names are, but for case, accents and punctuation; or
    if their `person_id`s are and the names share a word, as 'Aishwarya Rai' and 'Aishwarya Rai
    Bachchan' do. An id alone says nothing, since a table that was written by hand may count
    'n000001', 'n000002' without meaning VGGFace2's.

    Args:
        people: Of the data set that is searched.
        learned: Those of the other whom training saw.

    Returns:
        `people` with `seen` anew, and where it is true with the name that was learned.
    """
    by_id = {person['person_id']: person for person in learned}
    by_name = {person_names.key(person['name']): person for person in reversed(learned)}
    marked = []
    for person in people:
        name = person_names.key(person['name'])
        same = by_id.get(person['person_id'])
        if same is None or not set(name.split()) & set(person_names.key(same['name']).split()):
            same = by_name.get(name) if name else None
        known = {} if same is None else {'name': same['name']}
        marked.append(PersonEntry(**{**person, 'seen': same is not None, **known}))
    return marked
