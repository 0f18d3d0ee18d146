"""What identity learning says about people: captions of photos, and what somebody might be doing.

None of these is a phrase of `prompts`, by which evaluation asks.
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

# Where identity learning starts a step from, and with whom plain CLIP takes the same step.
BASE = 'a photo of {}'
NOBODY = 'a person'

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
