"""Writes This-Is-My in its own layout, small and with every trap."""

import json
from pathlib import Path

from tests.support.films import write

SEGMENTS = """segment_id,is_anchor,instance_name,video_id,channel_id,start_time,end_time,query
a-0,True,Ann's friend bob,v1,c1,276.5,277.5,man
b-0,True,Ann's dog,v2,c1,234.5,235.5,dog
c-0,True,Ann's hat,v1,c1,188.5,189.5,hat
d-0,False,,v1,c1,18.0,21.0,
e-0,False,,v3,c1,21.0,24.0,
f-0,False,,v3,c1,27.0,30.0,
g-0,False,,v4,c1,54.0,57.0,
h-0,False,,v4,c1,60.0,63.0,
i-0,False,,v2,c1,63.0,66.0,
"""
# Nothing is annotated of the hat; h-0 has no video, z-0 no row.
SHOWN = {'b-0': ['e-0', 'f-0', 'i-0'], 'a-0': ['d-0', 'f-0', 'g-0', 'h-0', 'z-0'], 'y-0': ['e-0']}
CAPTIONS = """segs,ids,item,class,caption
g-0,0,Ann's friend bob,man,* is crossing a road
f-0,1,Ann's dog,dog,a man is holding * near a tree
e-0,1,Ann's dog,dog,
e-0,1,Ann's dog,dog,a dog sleeps
h-0,0,Ann's friend bob,man,* is asleep
e-0,2,Ann's hat,hat,* is red
"""
VIDEOS = {'train_segment': ('a-0', 'b-0', 'd-0', 'i-0'), 'eval_segment': ('e-0', 'f-0', 'g-0')}


def write_this_is_my(root):
    """Two instances with photos and three clips; returns the folder."""
    root = Path(root)
    lists = root / 'this-is-my-dataset'
    lists.mkdir(parents=True)
    (lists / 'segments.csv').write_text(SEGMENTS)
    (lists / 'this-is-my_test-set.json').write_text(json.dumps(SHOWN))
    (lists / 'this-is-my_eval-captions.csv').write_text(CAPTIONS)
    number = 0
    for folder, names in VIDEOS.items():
        (root / folder).mkdir()
        for name in names:
            # Each is longer than the one before, so that their middles differ.
            times = [i / 10 for i in range(10 + 4 * number)]
            write(root / folder / f'{name}.mp4', times, b_frames=0)
            number += 1
    return root
