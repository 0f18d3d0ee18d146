"""Phrases of training: captions of photos, of actions and places, and of clips.

None of them is a phrase of `prompts`, which the queries of evaluation use.
"""

from __future__ import annotations

# {} is who: 'NAME [TOK]' or '[TOK]'.
PHOTOS = (
    'a photo of {}',
    'a picture of {}',
    'a portrait of {}',
    'the face of {}',
    'a close picture of {}',
    'an image of {}',
    'this is {}',
    'a photo showing {}',
    'here is {}',
    '{}',
)

# The start of the steps of identity learning, and the subject of the same steps of plain CLIP.
BASE = 'a photo of {}'
GENERIC_PERSON = 'a person'

DOING = (
    'talking on a telephone',
    'making a phone call',
    'at the wheel of a car',
    'driving along',
    'eating food',
    'having a meal',
    'in a fight',
    'throwing punches',
    'leaving a parked car',
    'climbing out of a car',
    'greeting a friend with a handshake',
    'embracing a friend',
    'giving somebody a hug',
    'giving somebody a kiss',
    'running fast',
    'sprinting',
    'taking a seat',
    'getting up from a chair',
    'rising from a seat',
    'waking up in bed',
    'standing there',
    'waiting',
    'walking a dog',
    'dancing',
    'reading a book',
    'playing the guitar',
)
WHERE = (
    'in front of a house',
    'in the garden of a house',
    'in the street',
    'along a road',
    "in somebody's bedroom",
    'in the car',
    'at a hotel',
    'in the lobby of a hotel',
    "in somebody's kitchen",
    'at home in the living room',
    'at the office',
    'at a restaurant',
    'at a shop',
    'in a park',
    'at the beach',
    'on a train',
)

# Captions of clips, by the label of their action or place.
ACTION_CAPTIONS = {
    'AnswerPhone': ('talking on a telephone', 'making a phone call', 'on the phone'),
    'DriveCar': ('at the wheel of a car', 'driving along', 'driving through town'),
    'Eat': ('eating food', 'having a meal', 'eating from a plate'),
    'FightPerson': ('in a fight', 'throwing punches', 'hitting somebody'),
    'GetOutCar': ('leaving a parked car', 'climbing out of a car', 'stepping out of the car'),
    'HandShake': (
        'greeting a friend with a handshake', 'shaking the hand of somebody', 'giving a handshake',
    ),
    'HugPerson': ('embracing a friend', 'giving somebody a hug', 'hugging a friend'),
    'Kiss': ('giving somebody a kiss', 'kissing a friend', 'with a kiss for somebody'),
    'Run': ('running fast', 'sprinting', 'on the run'),
    'SitDown': ('taking a seat', 'sitting slowly down', 'lowering onto a chair'),
    'SitUp': ('waking up in bed', 'sitting straight up in bed', 'rising in bed'),
    'StandUp': ('getting up from a chair', 'rising from a seat', 'standing slowly up'),
    'HighFive': ('slapping hands with somebody', 'with a high five for a friend'),
}  # fmt: skip
PLACE_CAPTIONS = {
    'EXT-house': ('in front of a house', 'in the garden of a house', 'outside the house'),
    'EXT-road': ('in the street', 'along a road', 'by the side of the road'),
    'INT-bedroom': ("in somebody's bedroom", 'in the bedroom'),
    'INT-car': ('in the car', 'in a car seat'),
    'INT-hotel': ('at a hotel', 'in the lobby of a hotel'),
    'INT-kitchen': ("in somebody's kitchen", 'in the kitchen'),
    'INT-living-room': ('at home in the living room', 'in the living room'),
    'INT-office': ('at the office', 'in the office'),
    'INT-restaurant': ('at a restaurant', 'in the restaurant'),
    'INT-shop': ('at a shop', 'in the shop'),
}
