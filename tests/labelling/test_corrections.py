import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.labelling import corrections, label, sheets
from cpad_jax.labelling.appearances import VideoFaces
from cpad_jax.labelling.cast import CastMember
from cpad_jax.labelling.corrections import Correction, TrackCorrection
from cpad_jax.labelling.exemplars import IdentityModel
from cpad_jax.labelling.subtitles import Mention
from tests.support import made_up_faces

ADA, BO = CastMember('n1', 'Ada Abbott'), CastMember('n2', 'Not Vital')
CY = CastMember('n3', 'Cy')
CAST = [ADA, BO, CY]
LOOKS = dict(zip(('n1', 'n2', 'n3'), made_up_faces.directions(3), strict=True))
HEAD = 'video,time,ymin,xmin,ymax,xmax,scope,name\n'
# Where tracks are, for files of corrections.
HERE, THERE = ','.join(map(str, made_up_faces.BOX)), ','.join(map(str, made_up_faces.ELSEWHERE))


def read(tmp_path, *lines, head=HEAD):
    path = tmp_path / 'corrections.csv'
    path.write_text(head + ''.join(f'{line}\n' for line in lines), encoding='utf-8')
    return corrections.read_corrections(path, CAST)


def test_what_lines_mean(tmp_path):
    found = read(
        tmp_path, 'a.mp4,1.5,0,0.1,0.2,0.3,track,ada abbott', '', '"a, b.mp4",0,0,0,1,1,,n2',
        'a.mp4,0,0,0,1,1,cluster,not Cy', 'a.mp4,0,0,0,1,1,track,Unknown',
        'a.mp4,0,0,0,1,1,track,Not Vital', 'a.mp4,0,0,0,1,1,track,not Not Vital',
    )  # fmt: skip
    assert found[0] == Correction(2, 'a.mp4', 1.5, (0.0, 0.1, 0.2, 0.3), 'track', 'n1', False)
    assert [(c.line, c.video, c.scope, c.person_id, c.denied) for c in found[1:]] == [
        (4, 'a, b.mp4', 'track', 'n2', False),
        (5, 'a.mp4', 'cluster', 'n3', True),
        (6, 'a.mp4', 'track', '', False),
        (7, 'a.mp4', 'track', 'n2', False),
        (8, 'a.mp4', 'track', 'n2', True),
    ]


def test_further_columns_in_any_order_and_a_byte_order_mark(tmp_path):
    head = '\ufeffname,note,video,time,ymin,xmin,ymax,xmax,scope\n'
    (found,) = read(tmp_path, 'Cy,x,a.mp4,1,0,0,1,1,', head=head)
    assert (found.person_id, found.video) == ('n3', 'a.mp4')


@pytest.mark.parametrize(('line', 'says'), [
    ('a.mp4,x,0,0,1,1,track,Cy', "3: time is 'x', expected a number"),
    ('a.mp4,nan,0,0,1,1,track,Cy', "3: time is 'nan'"),
    ('a.mp4,1,0,0,1', '3: 5 cells, expected video, time,'),
    ('a.mp4,1,0.5,0,0.5,1,track,Cy', '3: the box is .* expected ymin < ymax'),
    ('a.mp4,1,0,0,1,1,shot,Cy', "3: scope is 'shot', expected one of"),
    ('a.mp4,1,0,0,1,1,track,Dan', "3: 'Dan' is not in the cast list"),
    ('a.mp4,1,0,0,1,1,track,not Dan', "3: 'Dan' is not in the cast list"),
    ('a.mp4,1,0,0,1,1,track,not unknown', "3: 'unknown' is not in the cast list"),
    ('a.mp4,1,0,0,1,1,track,', "3: '' is not in the cast list"),
])  # fmt: skip
def test_bad_lines_are_named(tmp_path, line, says):
    with pytest.raises(UserError, match=f'corrections.csv:{says}'):
        read(tmp_path, 'a.mp4,1,0,0,1,1,track,Cy', line)


def test_bad_files_are_named(tmp_path):
    with pytest.raises(UserError, match='there is no such file of corrections'):
        corrections.read_corrections(tmp_path / 'x.csv', CAST)
    with pytest.raises(UserError, match="csv:1: column 'xmax' is missing"):
        read(tmp_path, head=HEAD.replace('xmax,', ''))
    (tmp_path / 'l.csv').write_bytes(HEAD.encode() + b'a.mp4,1,0,0,1,1,track,Zo\xeb\n')
    with pytest.raises(UserError, match='l.csv:2: this is not UTF-8 text'):
        corrections.read_corrections(tmp_path / 'l.csv', CAST)


def correction(time, box, scope='track', who='n1', denied=False, line=2, video='v'):
    return Correction(line, video, time, box, scope, who, denied)


def test_the_face_that_is_meant():
    one = LOOKS['n1']
    tracks = [
        made_up_faces.track(one, (0.1, 1.1), made_up_faces.BOX),
        made_up_faces.track(one, (0.1, 1.1), made_up_faces.ELSEWHERE),
        made_up_faces.track(one, (5.0, 6.0), made_up_faces.BOX),
        made_up_faces.track(one, (0.1, 1.1), made_up_faces.BOX),
    ]
    asked = [
        correction(0.6, made_up_faces.ELSEWHERE),
        correction(5.5, (0.22, 0.3, 0.52, 0.5)),  # A little off.
        correction(6.4, made_up_faces.BOX),  # A little late.
        correction(0.6, made_up_faces.BOX, video='w'),
        correction(3.0, made_up_faces.BOX),  # Nobody is seen then,
        correction(0.6, (0.6, 0.3, 0.9, 0.5)),  # nor there,
        correction(0.6, made_up_faces.BOX, video='x'),  # nor in that.
    ]
    found, lost = corrections.find_tracks(asked, tracks, ['v', 'v', 'v', 'w'])
    assert found == {1: [asked[0]], 2: asked[1:3], 3: [asked[3]]}
    assert lost == asked[4:]


def test_a_moving_face_is_where_it_was_at_that_time():
    moving = made_up_faces.track(LOOKS['n1'], (0.0, 1.0))
    moving.boxes[1] += (0.0, 0.4, 0.0, 0.4)
    halfway = (0.2, 0.5, 0.5, 0.7)
    assert corrections.find_tracks([correction(0.5, halfway)], [moving], ['v'])[0]
    assert not corrections.find_tracks([correction(0.0, halfway)], [moving], ['v'])[0]


def test_the_track_before_its_cluster_and_the_later_line_before_the_earlier():
    groups = np.array([0, 0, 0, 1])
    whole = correction(0, made_up_faces.BOX, 'cluster', 'n1', line=9)
    single = correction(0, made_up_faces.BOX, 'track', 'n2', line=2)
    earlier = correction(0, made_up_faces.BOX, 'track', 'n3', line=1)
    never = correction(0, made_up_faces.BOX, 'cluster', 'n3', denied=True, line=3)
    said = corrections.by_track({0: [whole, never], 1: [single, earlier]}, groups)
    denied = frozenset({'n3'})
    assert said == {
        0: TrackCorrection('n1', denied),
        1: TrackCorrection('n2', denied),
        2: TrackCorrection('n1', denied),
    }
    assert said[0].excludes('n2') and said[0].excludes('n3') and not said[0].excludes('n1')


def test_what_is_said_keeps_faces_apart():
    said = {
        0: TrackCorrection('n1', frozenset()), 1: TrackCorrection('n2', frozenset()), 2:
            TrackCorrection(None, frozenset({'n1'})),
        3: TrackCorrection('', frozenset()), 4: TrackCorrection('n1', frozenset()),
    }  # fmt: skip
    apart = corrections.add_cannot_links(said, np.zeros((6, 6), bool))
    assert (apart == apart.T).all()
    pairs = [(i, j) for i, j in np.argwhere(apart).tolist() if i < j]
    assert pairs == [(0, 1), (0, 2), (0, 3), (1, 3), (1, 4), (2, 4), (3, 4)]


def film(*shots, shift=0.0, seed=0):
    """A video of shots of a second; each is a list of (who, box)."""
    tracks = []
    for number, people in enumerate(shots):
        times = tuple(number + shift + t for t in (0.1, 0.3, 0.5))
        tracks.append(tuple(
            made_up_faces.track(
                made_up_faces.faces(LOOKS[who], 1, 0.3, seed * 100 + number)[0], times, box
            )
            for who, box in people
        ))  # fmt: skip
    return {'v': VideoFaces(tuple((i, i + 1.0) for i in range(len(shots))), tuple(tracks))}


MODELS = [
    IdentityModel(who, made_up_faces.faces(LOOKS[who], 3, 0.3, 50), 3) for who in ('n1', 'n2')
]
HERE_, THERE_ = made_up_faces.BOX, made_up_faces.ELSEWHERE
SHOTS = [[('n1', HERE_)], [('n2', HERE_)], [('n1', HERE_), ('n2', THERE_)], [('n3', HERE_)],
         [('n3', HERE_)]]  # fmt: skip


def who(labels):
    return [track.name.person_id if track.name else None for track in labels.tracks]


def run(asked=(), **changes):
    return label.label_tracks(film(*SHOTS, **changes), CAST, MODELS, corrections=asked)


def test_without_corrections():
    assert who(run()) == ['n1', 'n2', 'n1', 'n2', None, None]


def test_corrections_win_over_the_machine(tmp_path):
    asked = read(
        tmp_path, f'v,0.2,{HERE},track,Not Vital', f'v,2.2,{THERE},track,unknown',
        f'v,1.2,{HERE},track,not Not Vital', f'v,99,{HERE},track,Cy',
    )  # fmt: skip
    labels = run(asked)
    assert who(labels) == ['n2', None, 'n1', None, None, None]
    assert (labels.tracks[0].name.confidence, labels.tracks[0].name.evidence) == (
        1.0, 'named by hand',
    )  # fmt: skip
    assert [c.line for c in labels.unmatched] == [5]


def test_one_face_named_by_hand_names_those_like_it(tmp_path):
    labels = run(read(tmp_path, f'v,3.2,{HERE},track,Cy'))
    assert who(labels) == ['n1', 'n2', 'n1', 'n2', 'n3', 'n3']
    assert labels.tracks[5].name.evidence.startswith('faces named by hand: similarity 0.')
    whole = run(read(tmp_path, f'v,3.2,{HERE},cluster,Cy'))
    assert [whole.tracks[i].name.evidence for i in (4, 5)] == ['named by hand'] * 2


@pytest.mark.parametrize(('likeness', 'named'), [(0.8, 'n3'), (0.55, None)])
def test_one_face_named_by_hand_names_none_that_is_little_like_it(tmp_path, likeness, named):
    own, other = LOOKS['n3'], made_up_faces.directions(4)[3]
    stranger = made_up_faces.track(likeness * own + np.sqrt(1 - likeness**2) * other)
    videos = film(*SHOTS[:4])
    videos['w'] = VideoFaces(((0.0, 1.0),), ((stranger,),))
    asked = read(tmp_path, f'v,3.2,{HERE},track,Cy')
    assert who(label.label_tracks(videos, CAST, MODELS, corrections=asked))[4:] == ['n3', named]
    # Photos do so; here the face itself is the photo.
    photo = IdentityModel('n3', videos['v'].tracks[3][0].feature[None], 1)
    assert who(label.label_tracks(videos, CAST, [*MODELS, photo]))[4:] == ['n3', 'n3']


def test_corrections_hold_when_faces_are_followed_anew(tmp_path):
    sheets.write_tracks(tmp_path / 'tracks.csv', run(), CAST)
    rows = (tmp_path / 'tracks.csv').read_text().splitlines()
    # A row of the file with another name, as the documentation says.
    wrong = rows[1].replace('Ada Abbott', 'Cy')
    assert wrong != rows[1]
    asked = read(tmp_path, wrong, head=rows[0] + '\n')
    assert who(run(asked))[0] == 'n3'
    assert who(run(asked)) == who(run(asked))
    # Other times, other features, another order of faces in a shot.
    again = film(*[shot[::-1] for shot in SHOTS], shift=0.07, seed=3)
    labels = label.label_tracks(again, CAST, MODELS, corrections=asked)
    assert who(labels)[0] == 'n3' and not labels.unmatched


# Ada five times and somebody whom the machine takes for her, then Cy five times; nobody has photos
# of Cy, whose name is said whenever they are seen.
ADAS, CYS = range(6), range(6, 11)
LOOKS_LIKE_HER = f'v,5.2,{HERE}'


def run_with_stray(asked=()):
    shots = [[('n1', HERE_)]] * 6 + [[('n3', HERE_)]] * 5
    said = {'v': [Mention(n + 0.2, n + 0.4, 'n3', False) for n in (7, 8, 9)]}
    labels = label.label_tracks(film(*shots), CAST, MODELS, said, asked)
    return labels, who(labels)


@pytest.mark.parametrize(('name', 'given'), [
    ('not Ada Abbott', None), ('unknown', None), ('Not Vital', 'n2'),
])  # fmt: skip
def test_what_is_said_of_one_face_is_said_of_no_other(tmp_path, name, given):
    assert run_with_stray()[1] == ['n1'] * 6 + ['n3'] * 5
    _, found = run_with_stray(read(tmp_path, f'{LOOKS_LIKE_HER},track,{name}'))
    assert found == ['n1'] * 5 + [given] + ['n3'] * 5


def test_one_face_that_is_not_somebody_heard_of_does_not_silence_the_others(tmp_path):
    _, found = run_with_stray(read(tmp_path, f'v,6.2,{HERE},track,not Cy'))
    assert found == ['n1'] * 6 + [None] + ['n3'] * 4


@pytest.mark.parametrize(('line', 'expected'), [
    (f'{LOOKS_LIKE_HER},cluster,not Ada Abbott', [None] * 6 + ['n3'] * 5),
    (f'{LOOKS_LIKE_HER},cluster,Not Vital', ['n2'] * 6 + ['n3'] * 5),
    (f'v,6.2,{HERE},cluster,not Cy', ['n1'] * 6 + [None] * 5),
    (f'v,6.2,{HERE},cluster,unknown', ['n1'] * 6 + [None] * 5),
])  # fmt: skip
def test_what_is_said_of_a_cluster_is_said_of_all_of_it(tmp_path, line, expected):
    labels, found = run_with_stray(read(tmp_path, line))
    assert found == expected
    # It stays together, for the next correction.
    for group in (ADAS, CYS):
        assert len({labels.tracks[number].cluster for number in group}) == 1


def test_a_face_that_is_not_one_may_be_another(tmp_path):
    between = made_up_faces.unit(LOOKS['n1'] + 0.8 * LOOKS['n2'])
    shots = [[(one, HERE_)] for one in ('n1', 'n2') + 4 * ('n3',) for _ in range(4)]
    videos = film(*shots)
    videos['w'] = VideoFaces(((0.0, 1.0),), ((made_up_faces.track(between),),))
    before = who(label.label_tracks(videos, CAST, MODELS))
    assert before == ['n1'] * 4 + ['n2'] * 4 + [None] * 16 + ['n1']
    asked = read(tmp_path, f'w,0.2,{HERE},track,not Ada Abbott')
    assert who(label.label_tracks(videos, CAST, MODELS, corrections=asked)) == [
        *before[:-1], 'n2',
    ]  # fmt: skip


@pytest.mark.parametrize(('likeness', 'name', 'given'), [
    ((0.6, 0.45), 'not Ada Abbott', None), ((0.8, 0.75), 'not Ada Abbott', 'n2'),
    ((0.6, 0.45), 'not Not Vital', 'n1'),
])  # fmt: skip
def test_the_next_name_must_be_as_likely_as_faces_of_one_group(tmp_path, likeness, name, given):
    shots = [[(one, HERE_)] for one in ('n1', 'n2') + 4 * ('n3',) for _ in range(4)]
    videos = film(*shots)
    mean = np.mean([track.feature for of in videos['v'].tracks for track in of], axis=0)
    axes = made_up_faces.unit(np.stack([LOOKS['n1'], LOOKS['n2']]) - mean)
    rest = made_up_faces.directions(5)[4]
    # The face whose cosines with both are those, the mean taken off.
    basis = np.linalg.qr(np.stack([*axes, rest]).T)[0].T
    flat = np.linalg.solve(axes @ basis[:2].T, likeness)
    last = np.sqrt(max(1 - flat @ flat, 0.0))
    face = flat @ basis[:2] + last * basis[2] + mean
    videos['w'] = VideoFaces(((0.0, 1.0),), ((made_up_faces.track(face),),))
    assert who(label.label_tracks(videos, CAST, MODELS))[-1] == 'n1'
    asked = read(tmp_path, f'w,0.2,{HERE},track,{name}')
    assert who(label.label_tracks(videos, CAST, MODELS, corrections=asked))[-1] == given


def test_who_is_seen_beside_somebody_named_by_hand_is_somebody_else(tmp_path):
    videos = film([('n1', HERE_)], [('n1', HERE_)], [('n1', HERE_), ('n3', THERE_)])
    assert who(label.label_tracks(videos, CAST, MODELS)) == ['n1', 'n1', 'n1', None]
    asked = read(tmp_path, f'v,2.2,{THERE},track,Ada Abbott')
    labels = label.label_tracks(videos, CAST, MODELS, corrections=asked)
    assert who(labels) == ['n1', 'n1', None, 'n1']
