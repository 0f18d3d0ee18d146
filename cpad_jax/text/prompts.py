"""How evaluation puts a person, an action and a place into words.

No caption of pre-training uses these phrases: what is measured is understanding, not recall.
"""

from __future__ import annotations

from cpad_jax.errors import UserError
from cpad_jax.text import person_names

# Names of Hollywood2's actions and places, one action that only TV Human Interactions has, and what
# we say for each.
ACTION_PHRASES = {
    'AnswerPhone': 'answering the phone',
    'DriveCar': 'driving a car',
    'Eat': 'eating a meal',
    'FightPerson': 'fighting with someone',
    'GetOutCar': 'getting out of a car',
    'HandShake': 'shaking hands with someone',
    'HugPerson': 'hugging someone',
    'Kiss': 'kissing someone',
    'Run': 'running away',
    'SitDown': 'sitting down',
    'SitUp': 'sitting up',
    'StandUp': 'standing up',
    'HighFive': 'giving someone a high five',
}
PLACE_PHRASES = {
    'EXT-house': 'outside a house',
    'EXT-road': 'on a road',
    'INT-bedroom': 'in a bedroom',
    'INT-car': 'inside a car',
    'INT-hotel': 'in a hotel',
    'INT-kitchen': 'in a kitchen',
    'INT-living-room': 'in a living room',
    'INT-office': 'in an office',
    'INT-restaurant': 'in a restaurant',
    'INT-shop': 'in a shop',
}
ALL_ACTIONS = tuple(ACTION_PHRASES)
ACTIONS = ALL_ACTIONS[:-1]  # Hollywood2's, which the drawn world acts out.
PLACES = tuple(PLACE_PHRASES)

GENERIC_PERSON = 'a person'
SOMEONE = 'someone'  # To whom something is done.
PERSON_TOKEN = '[TOK]'
# No CLIP reads so much, and the time to clean a text, or to cut a word, grows with its square.
MOST_CHARACTERS = 20_000
_LONGEST_SLIP = 12  # Characters of what is taken for a misspelt [TOK].


def query_text(name: str | None, action: str | None, place: str | None, person_token: bool) -> str:
    """Words a query.

    Args:
        name: The person's name, or None.
        action: One of `ALL_ACTIONS`, or None.
        place: One of `PLACES`, or None.
        person_token: Whether a [TOK] stands for the person, after the name if there is one.

    Returns:
        For instance 'Orla Brandt [TOK] hugging someone in a kitchen', '[TOK] in a kitchen', or with
        neither name nor token 'a person hugging someone'.

    Raises:
        UserError: Unknown action or place.
    """
    for kind, value, known in (
        ('action', action, ACTION_PHRASES),
        ('place', place, PLACE_PHRASES),
    ):
        if value is not None and value not in known:
            raise UserError(f'unknown {kind} {value!r}; expected one of {", ".join(known)}')
    words = [name or '', PERSON_TOKEN if person_token else '']
    who = ' '.join(word for word in words if word) or GENERIC_PERSON
    what = [ACTION_PHRASES.get(action, ''), PLACE_PHRASES.get(place, '')]
    return ' '.join(word for word in (who, *what) if word)


def pair_text(first: str, second: str, action: str | None) -> str:
    """Words a query about two people.

    Args:
        first: Who does it: a name, [TOK], or both.
        second: Whom it is done to.
        action: One of `ALL_ACTIONS` that is done to somebody, or None for both being there.

    Returns:
        For instance '[TOK] hugging [TOK]', or '[TOK] and [TOK]'.

    Raises:
        UserError: The action is not done to anybody.
    """
    if action is None:
        return f'{first} and {second}'
    phrase = ACTION_PHRASES.get(action, '')
    if SOMEONE not in phrase:
        known = ', '.join(name for name, words in ACTION_PHRASES.items() if SOMEONE in words)
        raise UserError(f'{action!r} is not done to anybody; expected one of {known}')
    return f'{first} {phrase.replace(SOMEONE, second)}'


def without_name(text: str, name: str) -> str:
    """'[TOK] running' for 'Orla Brandt [TOK] running', however the name is spelt; whole words."""
    return person_names.without_before(text, name, PERSON_TOKEN)


def check_person_tokens(text: str, people: int) -> None:
    """Makes sure that a query has a [TOK] for each person, or none for a single one.

    Args:
        text: The query.
        people: How many people it is about, >= 0.

    Raises:
        UserError: It has another number of [TOK]s, or as `check_spelling`.
    """
    check_spelling(text)
    count = text.count(PERSON_TOKEN)
    if count and not people:
        raise UserError(
            f'the query {text[:80]!r} has a {PERSON_TOKEN} and no person: give one, '
            'encode_query(text, model.person(name=…, images=…)), or leave it out'
        )
    if count != people and (count, people) != (0, 1):
        who = 'one person' if people == 1 else f'{people} people'
        raise UserError(
            f'the query {text[:80]!r} has {count} {PERSON_TOKEN} for {who}: write one for each, '
            'in their order, and give who is meant twice twice, [person, person]'
        )


def check_spelling(text: str) -> None:
    """Makes sure that nothing in a query is nearly a [TOK], which CLIP would read as words.

    Raises:
        UserError: It is written in other letters or with spaces, as '[tok]' or '[ TOK ]'.
    """
    head = text[:MOST_CHARACTERS]  # Tokenizers refuse what is longer.
    for start in (place for place, letter in enumerate(head) if letter in '[［【'):
        written = text[start : start + _LONGEST_SLIP]
        end = min((at for at in map(written.find, ']］】') if at >= 0), default=-1) + 1
        if end and written[:end] != PERSON_TOKEN and person_names.key(written[:end]) == 'tok':
            raise UserError(
                f'the query {text[:80]!r} has {written[:end]!r}, which is no {PERSON_TOKEN}: write '
                f'{PERSON_TOKEN} for the person, in capitals and without spaces'
            )
