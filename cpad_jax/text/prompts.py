"""How evaluation puts a person, an action and a place into words.

No caption of pre-training uses these phrases: what is measured is understanding, not recall.
"""

from __future__ import annotations

import re

from cpad_jax.errors import UserError

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

NOBODY = 'a person'
SOMEONE = 'someone'  # To whom something is done.
PERSON_TOKEN = '[TOK]'


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
    who = ' '.join(word for word in words if word) or NOBODY
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
    """'[TOK] running' for 'Orla Brandt [TOK] running', in upper or lower case."""
    return re.sub(rf'{re.escape(name)}\s+{re.escape(PERSON_TOKEN)}', PERSON_TOKEN, text, flags=re.I)
