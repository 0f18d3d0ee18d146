"""Captions of drawn pictures, for pre-training a small CLIP.

Some captions name a person, most describe looks, action and place. No phrase of `text.prompts`,
which the queries of evaluation use, occurs in any caption.
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
_OTHERS = ('somebody', 'another person', 'a friend')
COUNT = 8  # Captions per picture.

Attributes = dict[str, int]  # Of one person: name in `attributes.FIELDS` -> code.
# A caption, and the attributes that it states of each person.
Caption = tuple[str, list[Attributes]]


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _article(noun: str) -> str:
    return f'an {noun}' if noun[0] in 'aeiou' else f'a {noun}'


def _hair(rng: np.random.Generator, looks: people.Looks) -> tuple[str, tuple[str, ...]]:
    """A phrase for a person's hair, and the attributes that it states."""
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
) -> tuple[str, Attributes]:
    """A noun phrase for a person, e.g. 'a young woman with long red hair in a blue shirt'.

    Args:
        rng: NumPy random generator.
        number: Person number.
        outfit: What the person wears.
        detail: Probability, 0 to 1, that each attribute is mentioned.

    Returns:
        The phrase, and the attributes that it states.
    """
    looks = people.person(number).looks
    mentioned = {'gender'}
    features = []
    # Descriptions of people mention the hair first.
    if rng.random() < detail + 0.25:
        text, fields = _hair(rng, looks)
        features.append(text)
        mentioned.update(fields)
    if rng.random() < detail and looks.facial_hair != 'none':
        features.append(f'a {looks.facial_hair}')
        mentioned.add('facial_hair')
    if rng.random() < detail and looks.glasses != 'none':
        exactly = rng.random() < 0.5
        features.append(f'{looks.glasses} glasses' if exactly else 'glasses')
        mentioned.add('glasses' if exactly else 'any_glasses')
    if rng.random() < detail * 0.7:
        features.append(_SKIN[looks.skin])
        mentioned.add('skin')
    age = attributes.age(looks, outfit)
    text = looks.gender
    if rng.random() < detail and age != 'middle':
        text = f'{age} {text}'
        mentioned.add('age')
    text = _article(text)
    if features:
        rng.shuffle(features)
        text += ' with ' + ' and '.join(features)
    if rng.random() < detail * 0.35:
        text += f' in {_article(outfit.top_colour)} {outfit.top}'
        mentioned.update(('top', 'top_colour'))
    if outfit.head_covering != 'none' and rng.random() < detail:
        text += f' wearing {_article(outfit.covering_colour)} {outfit.head_covering}'
        mentioned.update(('covering', 'covering_colour'))
    values = attributes.person_attributes(number, outfit)
    return text, {field: values[field] for field in mentioned}


def _doing(rng: np.random.Generator, performer: Performer, other: str) -> str:
    if performer.actions:
        return _pick(rng, _DOING[ACTIONS[performer.actions[0]]]).format(other)
    if performer.receives:
        return _pick(rng, _DONE_TO[performer.receives]).format(other)
    return _pick(rng, _IDLE)


def _add_action(
    rng: np.random.Generator, performers: Sequence[Performer], index: int, subject: Caption
) -> Caption:
    """Adds what a performer does, and to whom, to a caption that describes them."""
    partner = attributes.partner(performers, index)
    text, (stated, *_) = subject
    stated = stated | {'doing': attributes.doing(performers[index])}
    other, second = _pick(rng, _OTHERS), []
    if partner >= 0 and rng.random() < 0.5:
        receiver = performers[partner]
        other, described = describe(rng, receiver.person, receiver.outfit(), 0.35)
        stated, second = stated | {'partner': 0}, [described]
    return f'{text} {_doing(rng, performers[index], other)}', [stated, *second]


def scene_captions(
    rng: np.random.Generator, performers: Sequence[Performer], place: str, famous: int
) -> list[Caption]:
    """`COUNT` captions for one frame.

    Args:
        rng: NumPy random generator.
        performers: The people in the frame, with their actions.
        place: One of `PLACES`.
        famous: People with a number below this are named in some captions.

    Returns:
        Captions that state action and place, looks, or a name (with action, place, both or
        neither). The last one states only the action and place of the main person.
    """
    main = int(rng.integers(len(performers)))
    active = [i for i, p in enumerate(performers) if p.actions]
    if active and rng.random() < 0.8:
        main = active[int(rng.integers(len(active)))]

    def looks(index: int, low: float, high: float) -> Caption:
        performer, detail = performers[index], float(rng.uniform(low, high))
        text, stated = describe(rng, performer.person, performer.outfit(), detail)
        return text, [stated]

    def acts(index: int, low: float, high: float) -> Caption:
        return _add_action(rng, performers, index, looks(index, low, high))

    def placed(caption: Caption) -> Caption:
        text, (stated, *second) = caption
        where = {'place': attributes.code('place', place)}
        return f'{text} {_pick(rng, _WHERE[place])}', [stated | where, *second]

    pair = [int(i) for i in rng.permutation(len(performers))[:2]]
    described = [looks(i, 0.2, 0.8) for i in pair]
    together = (
        ' and '.join(text for text, _ in described),
        [stated for _, people_stated in described for stated in people_stated],
    )  # fmt: skip
    other = int(rng.integers(len(performers)))
    captions = [
        placed(acts(main, 0.2, 0.9)),
        acts(main, 0.3, 0.9),
        placed(together) if rng.random() < 0.3 else together,
        placed(acts(other, 0.2, 0.9)),
        looks(other, 0.3, 0.95),
    ]

    def named(index: int) -> Caption:
        # Often with a part of the attributes only: a name must mean the same without the others.
        person = people.person(performers[index].person)
        caption: Caption = (person.name, [{'person': person.index}])
        form = rng.random()
        if form < 0.75:
            caption = _add_action(rng, performers, index, caption)
        return placed(caption) if form < 0.45 or 0.75 <= form < 0.9 else caption

    known = [i for i, p in enumerate(performers) if p.person < famous]
    if known:
        captions += [named(known[int(rng.integers(len(known)))]) for _ in range(2)]
    else:
        captions += [looks(other, 0.1, 0.6), acts(main, 0.2, 0.7)]
    person = _pick(rng, ('a person', 'someone', 'one person'))
    act = _doing(rng, performers[main], _pick(rng, _OTHERS))
    captions.append(placed((f'{person} {act}', [{'doing': attributes.doing(performers[main])}])))
    return captions


def portrait_captions(
    rng: np.random.Generator, person: int, outfit: people.Outfit, famous: int
) -> list[Caption]:
    """`COUNT` captions for a portrait of `person` (a person number)."""

    def portrait(low: float, high: float) -> Caption:
        opening = _pick(rng, ('', 'a portrait of ', 'the face of ', 'a close picture of '))
        text, stated = describe(rng, person, outfit, float(rng.uniform(low, high)))
        return opening + text, [stated]

    captions = [portrait(0.7, 1.0) for _ in range(COUNT // 2)]
    captions += [portrait(0.1, 0.8) for _ in range(COUNT - 1 - len(captions))]
    if person < famous:
        text = _pick(rng, ('{}', 'a portrait of {}', '{} looks at us'))
        captions.append((text.format(people.person(person).name), [{'person': person}]))
    else:
        captions.append(portrait(0.5, 1.0))
    return captions
