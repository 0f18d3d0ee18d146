"""What people might write under a picture of the synthetic world, for pre-training a small CLIP.

Some captions name somebody, most describe looks, action and place. No phrase of `text.prompts`, by
which evaluation asks, occurs in any caption.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.data.synthetic import people
from cpad_jax.data.synthetic.world import Performer
from cpad_jax.text.prompts import ACTIONS

# {} is the other person.
_DOING = {
    'AnswerPhone': ('talking on a telephone', 'on the phone', 'answering a phone call',
                    'with a phone at the ear', 'makes a phone call'),
    'DriveCar': ('at the wheel of a car', 'drives a car', 'driving along in a car',
                 'driving, hands on the steering wheel'),
    'Eat': ('eating food', 'eats from a plate', 'having a meal', 'eating with a fork'),
    'FightPerson': ('fighting with {}', 'throwing punches at {}', 'in a fight with {}', 'hits {}'),
    'GetOutCar': ('gets out of a car', 'getting out of the car', 'climbs out of a car',
                  'leaving a parked car'),
    'HandShake': ('shakes hands with {}', 'shaking hands with {}', 'greets {} with a handshake'),
    'HugPerson': ('hugs {}', 'hugging {}', 'gives {} a hug', 'embraces {}'),
    'Kiss': ('kisses {}', 'kissing {}', 'gives {} a kiss'),
    'Run': ('running', 'runs', 'running fast', 'sprinting'),
    'SitDown': ('sits down on a chair', 'sitting slowly down', 'takes a seat',
                'lowers onto a chair, sitting'),
    'SitUp': ('sits up in bed', 'sitting straight up in bed', 'wakes and rises in bed'),
    'StandUp': ('stands up from a chair', 'standing slowly up', 'getting up from a chair',
                'rises from a seat, standing'),
}  # fmt: skip
_DONE_TO = {
    'FightPerson': ('attacked by {}', 'fending off {}'),
    'HandShake': ('shaking hands with {}',),
    'HugPerson': ('hugged by {}', 'in the arms of {}'),
    'Kiss': ('kissed by {}', 'getting a kiss from {}'),
}
_IDLE = ('standing there', 'waiting', 'looking on', 'just standing')
_WHERE = {
    'EXT-house': ('in front of a house', 'outside the house', 'at a front door, outside',
                  'in the garden of a house'),
    'EXT-road': ('on the road', 'in the street', 'along a road', 'by the side of the road'),
    'INT-bedroom': ('in the bedroom', 'inside a bedroom', 'in somebody\'s bedroom'),
    'INT-car': ('in the car', 'seen through a windscreen, inside the car', 'in a car seat'),
    'INT-hotel': ('in the hotel', 'at a hotel', 'in the lobby of a hotel', 'at hotel reception'),
    'INT-kitchen': ('in the kitchen', 'inside a kitchen', 'in somebody\'s kitchen'),
    'INT-living-room': ('in the living room', 'inside a living room', 'at home, living room'),
    'INT-office': ('in the office', 'at an office', 'inside an office'),
    'INT-restaurant': ('in the restaurant', 'at a restaurant', 'inside a restaurant'),
    'INT-shop': ('in the shop', 'at a shop', 'inside a shop'),
}  # fmt: skip
_SKIN = {'pale': 'very pale skin', 'fair': 'fair skin', 'tan': 'tanned skin', 'brown': 'brown skin',
         'dark': 'dark skin'}  # fmt: skip
_SOMEBODY = ('somebody', 'another person', 'a friend')


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _article(noun: str) -> str:
    return f'an {noun}' if noun[0] in 'aeiou' else f'a {noun}'


def _hair(looks: people.Looks, outfit: people.Outfit) -> str:
    colour, style = looks.hair_colour, looks.hair_style
    if style == 'bald':
        return 'a bald head'
    if style in ('ponytail', 'bun', 'bob', 'afro'):
        return _article(f'{colour} {style}')
    if style == 'receding':
        return f'receding {colour} hair'
    return f'{style} {colour} hair'


def _age_word(looks: people.Looks, outfit: people.Outfit) -> str:
    age = looks.age + outfit.years
    return 'young ' if age < 29 else 'old ' if age > 58 else ''


def describe(
    rng: np.random.Generator, looks: people.Looks, outfit: people.Outfit, detail: float
) -> str:
    """A noun phrase for somebody, e.g. 'a young woman with long red hair in a blue shirt'.

    Args:
        rng: Source of chance.
        looks: Who.
        outfit: Dressed how.
        detail: Probability, 0 to 1, that each attribute is mentioned.
    """
    features = []
    # Hair is what everybody mentions first.
    if rng.random() < detail + 0.25:
        features.append(_hair(looks, outfit))
    if rng.random() < detail and looks.facial_hair != 'none':
        features.append(f'a {looks.facial_hair}')
    if rng.random() < detail and looks.glasses != 'none':
        features.append(_pick(rng, (f'{looks.glasses} glasses', 'glasses')))
    if rng.random() < detail * 0.7:
        features.append(_SKIN[looks.skin])
    age = _age_word(looks, outfit) if rng.random() < detail else ''
    text = _article(f'{age}{looks.gender}')
    if features:
        rng.shuffle(features)
        text += ' with ' + ' and '.join(features)
    if rng.random() < detail * 0.35:
        text += f' in {_article(outfit.top_colour)} {outfit.top}'
    if outfit.head_covering != 'none' and rng.random() < detail:
        text += f' wearing {_article(outfit.covering_colour)} {outfit.head_covering}'
    return text


def _doing(rng: np.random.Generator, performer: Performer, other: str) -> str:
    if performer.actions:
        return _pick(rng, _DOING[ACTIONS[performer.actions[0]]]).format(other)
    if performer.receives:
        return _pick(rng, _DONE_TO[performer.receives]).format(other)
    return _pick(rng, _IDLE)


def _partner(performers: Sequence[Performer], index: int) -> int:
    if performers[index].target >= 0:
        return performers[index].target
    for other, performer in enumerate(performers):
        if performer.target == index:
            return other
    return -1


def _sentence(
    rng: np.random.Generator,
    performers: Sequence[Performer],
    index: int,
    named: bool,
    detail: float,
) -> str:
    def who(i: int, d: float) -> str:
        somebody = people.person(performers[i].person)
        outfit = people.draw_outfit(
            np.random.default_rng(performers[i].outfit_seed), somebody.looks
        )
        return describe(rng, somebody.looks, outfit, d)

    subject = people.person(performers[index].person).name if named else who(index, detail)
    partner = _partner(performers, index)
    other = _pick(rng, _SOMEBODY)
    if partner >= 0 and rng.random() < 0.5:
        other = who(partner, 0.35)
    return f'{subject} {_doing(rng, performers[index], other)}'


def scene_captions(
    rng: np.random.Generator, performers: Sequence[Performer], place: str, famous: int
) -> tuple[list[str], int]:
    """Six captions for one frame, and what they are mainly about.

    Args:
        rng: Source of chance.
        performers: Who is in the frame and does what.
        place: One of `PLACES`.
        famous: People with a number below this are named in some captions.

    Returns:
        Captions of differing kind: what happens and where, who it is by looks, by name; the last
        one says nothing about who it is. And the index of the main person's action in
        `ACTIONS`, its length where they do nothing in particular.
    """
    where = _pick(rng, _WHERE[place])
    main = int(rng.integers(len(performers)))
    active = [i for i, p in enumerate(performers) if p.actions]
    if active and rng.random() < 0.8:
        main = active[int(rng.integers(len(active)))]
    fully = f'{_sentence(rng, performers, main, False, 0.55)} {where}'
    plain = (
        f'{_pick(rng, ("a person", "someone", "one person"))} '
        f'{_doing(rng, performers[main], _pick(rng, _SOMEBODY))} {_pick(rng, _WHERE[place])}'
    )
    looks_only = _sentence(rng, performers, main, False, 0.9)
    several = ' and '.join(
        _sentence(rng, performers, i, False, 0.3) for i in rng.permutation(len(performers))[:2]
    )
    other = int(rng.integers(len(performers)))
    captions = [
        fully,
        looks_only,
        f'{several}, {_pick(rng, _WHERE[place])}' if rng.random() < 0.5 else several,
        f'{_sentence(rng, performers, other, False, 0.6)} {_pick(rng, _WHERE[place])}',
    ]
    known = [i for i, p in enumerate(performers) if p.person < famous]
    if known:
        star = known[int(rng.integers(len(known)))]
        captions.append(f'{_sentence(rng, performers, star, True, 0)} {_pick(rng, _WHERE[place])}')
    else:
        captions.append(f'{_sentence(rng, performers, main, False, 0.4)}')
    doing = len(ACTIONS)
    if performers[main].actions:
        doing = performers[main].actions[0]
    elif performers[main].receives:
        doing = ACTIONS.index(performers[main].receives)
    return [*captions, plain], doing


def portrait_captions(
    rng: np.random.Generator, person: int, outfit: people.Outfit, famous: int
) -> list[str]:
    """Six captions for a portrait of `person` (a person number)."""
    somebody = people.person(person)

    def say(detail: float) -> str:
        opening = _pick(rng, ('', 'a portrait of ', 'the face of ', 'a close picture of '))
        return opening + describe(rng, somebody.looks, outfit, detail)

    captions = [say(0.95), say(0.9), say(0.8), say(0.7), say(0.95)]
    if person < famous:
        captions.append(
            _pick(rng, ('{}', 'a portrait of {}', '{} looks at us')).format(somebody.name)
        )
    else:
        captions.append(say(0.6))
    return captions
