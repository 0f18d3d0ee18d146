"""What people might write under a picture of the synthetic world, for pre-training a small CLIP.

Some captions name somebody, most describe looks, action and place. No phrase of `text.prompts`, by
which evaluation asks, occurs in any caption.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.synthetic import attributes, people
from cpad_jax.synthetic.world import Performer
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
COUNT = 8  # Captions per picture.

Claim = dict[str, int]  # Of one person: field of `attributes.FIELDS` -> code.
Sentence = tuple[str, list[Claim]]  # A caption, and what it claims of its one or two people.


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _article(noun: str) -> str:
    return f'an {noun}' if noun[0] in 'aeiou' else f'a {noun}'


def _hair(rng: np.random.Generator, looks: people.Looks) -> tuple[str, tuple[str, ...]]:
    """A phrase for somebody's hair, and the fields that it speaks of."""
    colour, style = looks.hair_colour, looks.hair_style
    if style == 'bald':
        return 'a bald head', ('hair_style',)
    if rng.random() < 0.25:
        return f'{colour} hair', ('hair_colour',)
    both = ('hair_colour', 'hair_style')
    if style in ('ponytail', 'bun', 'bob', 'afro'):
        return _article(f'{colour} {style}'), both
    if style == 'receding':
        return f'receding {colour} hair', both
    return f'{style} {colour} hair', both


def describe(
    rng: np.random.Generator, number: int, outfit: people.Outfit, detail: float
) -> tuple[str, Claim]:
    """A noun phrase for somebody, e.g. 'a young woman with long red hair in a blue shirt'.

    Args:
        rng: Source of chance.
        number: Who.
        outfit: Dressed how.
        detail: Probability, 0 to 1, that each attribute is mentioned.

    Returns:
        The phrase, and what it claims.
    """
    looks = people.person(number).looks
    said = {'gender'}
    features = []
    # Hair is what everybody mentions first.
    if rng.random() < detail + 0.25:
        text, fields = _hair(rng, looks)
        features.append(text)
        said.update(fields)
    if rng.random() < detail and looks.facial_hair != 'none':
        features.append(f'a {looks.facial_hair}')
        said.add('facial_hair')
    if rng.random() < detail and looks.glasses != 'none':
        exactly = rng.random() < 0.5
        features.append(f'{looks.glasses} glasses' if exactly else 'glasses')
        said.add('glasses' if exactly else 'any_glasses')
    if rng.random() < detail * 0.7:
        features.append(_SKIN[looks.skin])
        said.add('skin')
    age = attributes.age(looks, outfit)
    text = looks.gender
    if rng.random() < detail and age != 'middle':
        text = f'{age} {text}'
        said.add('age')
    text = _article(text)
    if features:
        rng.shuffle(features)
        text += ' with ' + ' and '.join(features)
    if rng.random() < detail * 0.35:
        text += f' in {_article(outfit.top_colour)} {outfit.top}'
        said.update(('top', 'top_colour'))
    if outfit.head_covering != 'none' and rng.random() < detail:
        text += f' wearing {_article(outfit.covering_colour)} {outfit.head_covering}'
        said.update(('covering', 'covering_colour'))
    facts = attributes.person_facts(number, outfit)
    return text, {field: facts[field] for field in said}


def _doing(rng: np.random.Generator, performer: Performer, other: str) -> str:
    if performer.actions:
        return _pick(rng, _DOING[ACTIONS[performer.actions[0]]]).format(other)
    if performer.receives:
        return _pick(rng, _DONE_TO[performer.receives]).format(other)
    return _pick(rng, _IDLE)


def _sentence(
    rng: np.random.Generator, performers: Sequence[Performer], index: int, subject: Sentence
) -> Sentence:
    """What a performer, of whom `subject` speaks, does; and to whom."""
    partner = attributes.partner(performers, index)
    text, (claim, *_) = subject
    claim = claim | {'doing': attributes.doing(performers[index])}
    other, more = _pick(rng, _SOMEBODY), []
    if partner >= 0 and rng.random() < 0.5:
        other, about = describe(rng, performers[partner].person, performers[partner].outfit(), 0.35)
        claim, more = claim | {'partner': 0}, [about]
    return f'{text} {_doing(rng, performers[index], other)}', [claim, *more]


def scene_captions(
    rng: np.random.Generator, performers: Sequence[Performer], place: str, famous: int
) -> list[Sentence]:
    """`COUNT` captions for one frame, with what they claim.

    Args:
        rng: Source of chance.
        performers: Who is in the frame and does what.
        place: One of `PLACES`.
        famous: People with a number below this are named in some captions.

    Returns:
        Captions of differing kind: what happens and where, who it is by looks, by name (with what
        they do, where, both or neither); the last one says what the main person does and where, and
        nothing about who it is.
    """
    main = int(rng.integers(len(performers)))
    active = [i for i, p in enumerate(performers) if p.actions]
    if active and rng.random() < 0.8:
        main = active[int(rng.integers(len(active)))]

    def look(index: int, low: float, high: float) -> Sentence:
        who, detail = performers[index], float(rng.uniform(low, high))
        text, claim = describe(rng, who.person, who.outfit(), detail)
        return text, [claim]

    def does(index: int, low: float, high: float) -> Sentence:
        return _sentence(rng, performers, index, look(index, low, high))

    def placed(sentence: Sentence) -> Sentence:
        text, (claim, *more) = sentence
        where = {'place': attributes.code('place', place)}
        return f'{text} {_pick(rng, _WHERE[place])}', [claim | where, *more]

    pair = [int(i) for i in rng.permutation(len(performers))[:2]]
    said = [look(i, 0.2, 0.8) for i in pair]
    together = (
        ' and '.join(text for text, _ in said), [claim for _, about in said for claim in about]
    )  # fmt: skip
    other = int(rng.integers(len(performers)))
    captions = [
        placed(does(main, 0.2, 0.9)),
        does(main, 0.3, 0.9),
        placed(together) if rng.random() < 0.3 else together,
        placed(does(other, 0.2, 0.9)),
        look(other, 0.3, 0.95),
    ]

    def named(index: int) -> Sentence:
        # As often as not only a part is said: a name must mean the same without the rest.
        person = people.person(performers[index].person)
        sentence: Sentence = (person.name, [{'person': person.index}])
        form = rng.random()
        if form < 0.75:
            sentence = _sentence(rng, performers, index, sentence)
        return placed(sentence) if form < 0.45 or 0.75 <= form < 0.9 else sentence

    known = [i for i, p in enumerate(performers) if p.person < famous]
    if known:
        captions += [named(known[int(rng.integers(len(known)))]) for _ in range(2)]
    else:
        captions += [look(other, 0.1, 0.6), does(main, 0.2, 0.7)]
    someone = _pick(rng, ('a person', 'someone', 'one person'))
    act = _doing(rng, performers[main], _pick(rng, _SOMEBODY))
    captions.append(placed((f'{someone} {act}', [{'doing': attributes.doing(performers[main])}])))
    return captions


def portrait_captions(
    rng: np.random.Generator, person: int, outfit: people.Outfit, famous: int
) -> list[Sentence]:
    """`COUNT` captions for a portrait of `person` (a person number), with what they claim."""

    def say(low: float, high: float) -> Sentence:
        opening = _pick(rng, ('', 'a portrait of ', 'the face of ', 'a close picture of '))
        text, claim = describe(rng, person, outfit, float(rng.uniform(low, high)))
        return opening + text, [claim]

    captions = [say(0.7, 1.0) for _ in range(COUNT // 2)]
    captions += [say(0.1, 0.8) for _ in range(COUNT - 1 - len(captions))]
    if person < famous:
        text = _pick(rng, ('{}', 'a portrait of {}', '{} looks at us'))
        captions.append((text.format(people.person(person).name), [{'person': person}]))
    else:
        captions.append(say(0.5, 1.0))
    return captions
