import csv

import numpy as np
from PIL import ImageFont

from cpad_jax.labelling import sheets
from cpad_jax.labelling.cast import CastMember
from cpad_jax.labelling.identify import Name
from cpad_jax.labelling.label import LabelledTrack, Labels
from tests.support import made_up_faces

CAST = [CastMember('n1', 'Ada Abbott')]
VIDEO = 'season_1/the_long_name_of_a_show_e03.mp4'


def labelled(start, name=None, video=VIDEO):
    times = tuple(start + step for step in (0.0, 0.25, 0.5))  # The last is the best.
    face = made_up_faces.track(made_up_faces.directions(1)[0], times)
    return LabelledTrack(video, 0, face, 4, name)


def test_a_sheet_says_what_the_list_of_tracks_says(tmp_path):
    rows = labelled(61.0, Name('n1', 0.81, 'because')), labelled(7.0, video='a/b.mp4')
    sheets.write_tracks(tmp_path / 'tracks.csv', Labels(rows, (), 0), CAST)
    with (tmp_path / 'tracks.csv').open() as file:
        listed = list(csv.DictReader(file))
    assert [row['time'] for row in listed] == ['61.500', '7.500']
    font = ImageFont.load_default(11)
    under = [sheets.caption(row, font) for row in rows]
    assert [lines[1:] for lines in under] == [
        ('61.500 s', '0.81, cluster 4'), ('7.500 s', 'cluster 4'),
    ]  # fmt: skip
    # A name that is too long keeps how it begins and how it ends.
    assert under[0][0].startswith('seas') and under[0][0].endswith('..._e03.mp4')
    assert font.getlength(under[0][0]) <= 96 and under[1][0] == 'a/b.mp4'


def test_all_three_lines_are_drawn_below_the_face():
    rows = (labelled(61.0, Name('n1', 0.81, 'because')),)
    ((name, sheet),) = sheets.draw_sheets(Labels(rows, (), 0), CAST)
    assert name == 'n1_0000.jpg'
    drawn = np.asarray(sheet.convert('L')).astype(int)
    assert drawn.shape == (40 + 96 + 3 * 13 + 8 + 8, 8 + 8 * 104)
    for line in range(3):
        top = 40 + 96 + 1 + 13 * line
        assert (drawn[top : top + 13, 8:104] < 200).sum() > 20
