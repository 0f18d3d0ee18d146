"""Writes Hollywood2 and TV Human Interactions in their own layout, small and with every trap."""

import json
from pathlib import Path

import cv2
import numpy as np

HOLLYWOOD2_ACTIONS = (
    'AnswerPhone', 'DriveCar', 'Eat', 'FightPerson', 'GetOutCar', 'HandShake', 'HugPerson', 'Kiss',
    'Run', 'SitDown', 'SitUp', 'StandUp',
)  # fmt: skip
HOLLYWOOD2_PLACES = (
    'EXT-house', 'EXT-road', 'INT-bedroom', 'INT-car', 'INT-hotel', 'INT-kitchen',
    'INT-living-room', 'INT-office', 'INT-restaurant', 'INT-shop',
)  # fmt: skip

WIDTH, HEIGHT, FPS = 96, 64, 25.0


def write_avi(path, frames=25, width=WIDTH, height=HEIGHT):
    """A grey ramp from left to right that grows lighter by the frame: frame n has 4 n added."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*'MJPG'), FPS, (width, height)
    )
    ramp = np.linspace(0, 100, width)[None, :, None] + np.zeros((height, width, 3))
    for number in range(frames):
        writer.write((ramp + 4 * number).astype(np.uint8))
    writer.release()


def _write_lists(folder, classes, clips, splits):
    """One list for each class and split; `clips` is split → clip → classes that it is of."""
    folder.mkdir(parents=True)
    for split in splits:
        everything = []
        for number, name in enumerate(classes):
            lines = []
            for clip, positive in clips.get(split, {}).items():
                # Both widths occur in the original.
                gap = '  ' if number % 2 else ' '
                lines.append(f'{clip}{gap}{1 if name in positive else -1}\n')
            (folder / f'{name}_{split}.txt').write_text(''.join(lines))
            everything += [line.replace(' ', f' {number} ', 1) for line in lines]
        kind = 'scenes' if 'Scenes' in folder.name else 'actions'
        (folder / f'{kind}_{split}.txt').write_text(''.join(everything))


def write_hollywood2_lists(root, actions, scenes):
    """The lists of both halves; each half is split → clip → classes that it is of."""
    splits = ('train', 'test', 'autotrain')
    _write_lists(root / 'ClipSets', HOLLYWOOD2_ACTIONS, actions, splits)
    _write_lists(root / 'ClipSetsScenes', HOLLYWOOD2_PLACES, scenes, splits[1:])


def write_hollywood2(root):
    """Five clips of actions and three of places that are whole, and traps; returns the folder."""
    root = Path(root) / 'Hollywood2'
    write_hollywood2_lists(
        root,
        {
            'train': {
                'actioncliptrain00001': {'Kiss', 'HugPerson'},
                'actioncliptrain00002': {'Run'},
                'actioncliptrain00003': {'Eat'},  # Its video is missing.
                'actioncliptrain00004': {'Eat'},  # Its video is cut off.
            },
            'test': {'actioncliptest00001': {'StandUp'}, 'actioncliptest00002': set()},
            'autotrain': {'actionclipautoautotrain00001': {'DriveCar'}},
        },
        {
            'test': {
                'scenecliptest00001': {'INT-kitchen'},
                'scenecliptest00002': {'INT-bedroom', 'INT-hotel'},
            },
            'autotrain': {'sceneclipautoautotrain00001': {'EXT-road'}},
        },
    )
    for name, frames in (
        ('actioncliptrain00001', 50), ('actioncliptrain00002', 25), ('actioncliptest00001', 25),
        ('actioncliptest00002', 25), ('actionclipautoautotrain00001', 25),
        ('actioncliptrain00004', 25), ('actioncliptrain00099', 5),
    ):  # fmt: skip
        write_avi(root / 'AVIClips' / f'{name}.avi', frames)
    broken = root / 'AVIClips' / 'actioncliptrain00004.avi'
    broken.write_bytes(broken.read_bytes()[:3000])
    for name in ('scenecliptest00001', 'scenecliptest00002', 'sceneclipautoautotrain00001'):
        write_avi(root / 'AVIClipsScenes' / f'{name}.avi')
    (root / 'AVIClips' / '._actioncliptrain00001.avi').write_bytes(b'\0\5\x16\7')
    # What follows the whole list of Kiss_train.txt, whose four lines are in order.
    with (root / 'ClipSets' / 'Kiss_train.txt').open('a') as file:
        file.write('\nactioncliptrain00002  1\nactioncliptrain00005 yes\n../../etc/passwd  1\n')
    # A clip of train in a list of test would be learned from and then asked for.
    with (root / 'ClipSets' / 'Run_test.txt').open('a') as file:
        file.write('actioncliptrain00001  1\n')
    (root / 'ClipSets' / 'Jump_train.txt').write_text('actioncliptrain00001  1\n')
    (root / 'ClipSets' / 'SitUp_autotrain.txt').unlink()
    for folder, name, text in (
        ('ShotBounds', 'actioncliptrain00001', ' 12 30\n'),
        ('ShotBounds', 'actioncliptrain00002', '\n'),
        ('ShotBounds', 'actioncliptest00001', '30 12'),
        ('ShotBoundsScenes', 'scenecliptest00001', '7'),
    ):
        (root / folder).mkdir(exist_ok=True)
        (root / folder / f'{name}.sht').write_text(text)
    return root


# Two people shake hands from frame 2 on, a third looks on; the numbers are the people's.
HAND_SHAKE = """#num_frames: 3
#frame: 1  #num_bbxs: 2
1 8 8 24 no_interaction profile_right
2 56 8 32 no_interaction profile_left
#frame: 2  #num_bbxs: 3  #interactions: 1 - 2
1 8 8 24 hand_shake profile_right
2 56 8 32 hand_shake profile_left
5 40 0 16 no_interaction backwards
#frame: 3  #num_bbxs: 2  #interactions: 1 - 2
1 10 8 24 hand_shake profile_right
2 54 8 32 hand_shake profile_left
"""

# Line by line: a frame 0; a row of too few words; a label that is unknown; a second row of one
# person; a pair of whom one is nobody; a header without a count; a box after it.
HUG = """#num_frames: 3
#frame: 0  #num_bbxs: 3 #interactions: 1 - 2
1 8 8 24 hug profile_right
2 40 8 24 hug
2 56 8 24 hug profile_left

#frame: 1  #num_bbxs: 4  #interactions: 1 - 9
1 8 8 24 hug profile_right
2 56 8 24 dance profile_left
2 56 8 24 no_interaction profile_left
2 56 9 24 kiss profile_left
2 56 8 -3 hug profile_left
#frame: 2
1 8 8 24 kiss profile_right
"""

NEGATIVE = """#num_frames: 1
#frame: 1  #num_bbxs: 1
1 0 0 64 no_interaction front_left
"""


def write_tv(root):
    """Five clips that are whole, and traps; returns (folder of videos, folder of annotations)."""
    root = Path(root)
    videos = root / 'tv_human_interactions_videos'
    annotations = root / 'tv_human_interaction_annotations'
    annotations.mkdir(parents=True)
    for name, text in (
        ('handShake_0001', HAND_SHAKE), ('hug_0002', HUG), ('negative_0050', NEGATIVE),
        ('negative_0051', NEGATIVE), ('kiss_0009', None), ('highFive_0002', ''),
    ):  # fmt: skip
        write_avi(videos / f'{name}.avi')
        if text is not None:
            (annotations / f'{name}.annotations').write_text(text)
    (videos / 'highFive_0002.avi').write_bytes(b'')
    (videos / 'trailer.avi').write_bytes(b'')
    (annotations / 'kiss_0050.annotations').write_text(NEGATIVE)
    return videos, annotations


def row(clip_id, title, people=(), source='movie', **more):
    """A line of the annotation table; people are (person_id, name, boxes by time, more)."""
    return {
        'clip_id': clip_id,
        'title': title,
        'source': source,
        'people': [
            {
                'person_id': person_id,
                'name': name,
                'times': list(boxes),
                'boxes': list(boxes.values()),
                **fields,
            }
            for person_id, name, boxes, fields in people
        ],
        **more,
    }


def write_table(path, rows):
    """An annotation table of such rows, one a line."""
    path = Path(path)
    path.write_text(''.join(json.dumps(line) + '\n' for line in rows))
    return path


# Faces of 32x32, 48x32 and 12x13 pixels in a video of 96x64.
FACE, LARGE, SMALL = [0.25, 0.25, 0.75, 7 / 12], [0.25, 0.25, 0.75, 0.75], [0.1, 0.1, 0.3, 0.225]
LEFT = [0.2, 0.15, 0.3, 0.25]  # In body 1 of the handshake.

CELEBRITIES = [
    row('actioncliptrain00001', 'casablanca', [
        ('n1', 'Ingrid Bergman', {0.0: FACE, 1.0: LARGE}, {'actions': ['Kiss', 'HighFive']}),
        ('n2', 'Humphrey Bogart', {0.0: SMALL}, {'actions': ['HugPerson'], 'target': 0}),
    ], place='INT-bedroom'),
    row('actioncliptest00001', 'notorious', [('n1', 'Ingrid Bergman', {0.2: FACE}, {})]),
    row('scenecliptest00001', 'casablanca', [('n1', 'Ingrid Bergman', {0.0: FACE}, {})]),
    row('handShake_0001', 'lost', [('n3', 'Kate', {0.04: LEFT}, {})], 'show'),
    row('actionclipautoautotrain00001', 'heat', [('n1', 'Ingrid Bergman', {}, {})]),
    row('nowhere', 'heat'),
]  # fmt: skip
SPLITS = {'casablanca': 'train', 'notorious': 'test', 'lost': 'validation'}


def write_celebrities(root):
    """Both sources, the table above and its splits, where the builder looks for them."""
    root = Path(root)
    write_hollywood2(root)
    write_tv(root)
    write_table(root / 'annotations.jsonl', CELEBRITIES)
    (root / 'splits.json').write_text(json.dumps(SPLITS))
    return root


class Dropped(list):
    """Collects what is left out: (file and line, relative to a folder; reason and item)."""

    def __init__(self, folder=''):
        self._folder = str(folder)

    def add(self, file, line, reason, item='', count=1):
        where = str(file).removeprefix(f'{self._folder}/') + (f':{line}' if line else '')
        self.append((where, f'{reason}: {item}' if item else reason))
