from cpad_jax.data.identity_matching import mark_seen


def people(*rows):
    """Rows are (person_id, name)."""
    return [
        {'person_id': person_id, 'name': name, 'gender': '', 'seen': False, 'identity': number}
        for number, (person_id, name) in enumerate(rows)
    ]


LEARNED = people(
    ('n000002', 'A Fine Frenzy'), ('n000003', 'Zoë Saldaña'), ('n000004', 'Robert Downey, Jr.'),
    ('n000005', 'Aishwarya Rai'), ('n000006', 'Chris Evans'), ('n000007', 'Chris Evans'),
)  # fmt: skip


def same(person_id, name):
    """The name under which somebody was learned, or None."""
    (person,) = mark_seen(people((person_id, name)), LEARNED)
    assert person['seen'] or person['name'] == name
    return person['name'] if person['seen'] else None


def test_a_name_is_enough_whatever_its_spelling():
    assert same('Zoe_Saldana', 'Zoe Saldana') == 'Zoë Saldaña'
    assert same('n1', 'ROBERT DOWNEY JR') == 'Robert Downey, Jr.'
    assert same('n1', 'Robert Downey') is None
    assert same('n000003', 'A Fine Frenzy') == 'A Fine Frenzy'
    assert same('n000007', 'chris evans') == 'Chris Evans'


def test_an_id_counts_only_with_a_word_of_the_name():
    assert same('n000005', 'Aishwarya Rai Bachchan') == 'Aishwarya Rai'
    assert same('n000002', 'Humphrey Bogart') is None
    assert same('n5', 'Aishwarya Rai Bachchan') is None


def test_a_name_without_letters_is_nobodys():
    assert mark_seen(people(('a', '?')), people(('b', '!')))[0]['seen'] is False


def test_what_else_is_known_stays_and_seen_is_said_anew():
    asked = people(('n1', 'Kate'), ('n2', 'chris evans'))
    asked[0]['seen'] = True  # In its own data set.
    assert mark_seen(asked, LEARNED) == [
        {'person_id': 'n1', 'name': 'Kate', 'gender': '', 'seen': False, 'identity': 0},
        {'person_id': 'n2', 'name': 'Chris Evans', 'gender': '', 'seen': True, 'identity': 1},
    ]
    assert asked[1]['name'] == 'chris evans'
