"""What is opened as a video: one file, by what it holds and not by its name."""

import os
import subprocess
import sys

import av
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.media import video
from tests.support import films

TIMES = np.arange(50) / 25


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp('film') / 'film.mp4'
    films.write(path, TIMES)
    return path


NAMES = (
    'img%d.jpg', 'img%03d.png', '*.mp4', 'a?.mp4', 'data:,x', 'subfile,,start,0,end,9,,:film.mp4',
    'concat:film.mp4|film.mp4', 'file:film.mp4', 'pipe:0', 'crypto+http:', '-i', 'a b\n.mp4',
    'list.m3u8', 'list.ffconcat', 'film', b'caf\xe9.mp4', b'\xff\xfe', 'wide\N{SNOWMAN}.mov',
    'x' * 245 + '.mp4',
)  # fmt: skip


@pytest.mark.parametrize('name', NAMES, ids=ascii)
def test_a_name_is_only_a_name(tmp_path, film, name):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(film.read_bytes())
    frames, times = video.sample_frames(path, times=[0.4, 1.5])
    assert [films.read_number(frame) for frame in frames] == [10, 37]
    np.testing.assert_allclose(times, [0.4, 1.48], atol=1e-3)


def test_names_of_any_bytes_are_opened_where_the_locale_knows_ascii_only(tmp_path, film):
    path = tmp_path / os.fsdecode(b'\xe9t\xc3\xa9.mp4')
    path.write_bytes(film.read_bytes())
    script = 'import sys\nfrom cpad_jax.media import video\nprint(video.probe(sys.argv[1]).frames)'
    done = subprocess.run(
        [sys.executable, '-X', 'utf8=0', '-c', script, os.fsencode(path)],
        capture_output=True,
        check=False,
        env=os.environ | {'LC_ALL': 'POSIX', 'PYTHONCOERCECLOCALE': '0'},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b'50\n', b'')


def _lists(folder, film):
    """Files that name others: (name, content)."""
    name, padding = film.name, '#' * 3000
    media = '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n'
    dash = '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{}'
    yield 'ffconcat', f'ffconcat version 1.0\nfile {name}\n{padding}\n#\0'
    yield 'absolute', f'ffconcat version 1.0\nfile {folder / name}\n{padding}\n#\0'
    yield 'hls', media.format(name) + padding + '\0'
    yield 'hls_of_network', media.format('http://127.0.0.1:9/a.ts') + padding + '\0'
    yield 'dash', dash.format(name) + padding + '\0'
    yield 'sdp', f'v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n{padding}\0'
    yield 'metadata', f';FFMETADATA1\ntitle={name}\n{padding}\0'
    yield 'subtitles', f'WEBVTT\n\n00:00.000 --> 00:02.000\n{name}\n{padding}\0'
    yield 'terminal', f'\x1b[2J{name}\n{padding}\0'
    yield 'svg', f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{name}"/></svg>{padding}\0'
    yield 'gif', 'GIF89a\x01\0\x01\0\0\0\0;'


def test_files_that_name_others_are_refused_in_one_line_and_open_none(tmp_path, film):
    other = tmp_path / film.name
    other.write_bytes(film.read_bytes())
    for name, content in _lists(tmp_path, film):
        for ending in ('.mp4', '.m3u8', '.ffconcat', '.mpd'):
            path = tmp_path / f'{name}{ending}'
            path.write_text(content, encoding='latin-1')
            os.utime(other, ns=(0, 0))
            for use in (video.probe, lambda p: video.sample_frames(p, count=1)):
                with pytest.raises(UserError) as raised:
                    use(path)
                line = str(raised.value)
                assert line.startswith(f'{path}: ')
                assert '\n' not in line
                assert len(line) < 400
            # An opened file would be known by the time of its last access.
            assert other.stat().st_atime_ns == 0, path.name
            path.unlink()


def test_a_pipe_and_a_device_are_no_videos(tmp_path):
    os.mkfifo(tmp_path / 'pipe.mp4')
    for path in (tmp_path / 'pipe.mp4', '/dev/null'):
        with pytest.raises(UserError, match='a device or a pipe'):
            video.probe(path)


@pytest.mark.parametrize('box', [b'mvhd', b'tkhd', b'mdhd'])
@pytest.mark.parametrize('factor', [0.1, 10])
def test_a_length_that_a_header_names_is_not_believed(tmp_path, film, box, factor):
    data = bytearray(film.read_bytes().replace(b'edts', b'free'))
    place = data.index(box) + 4 + (20 if box == b'tkhd' else 16)
    length = int.from_bytes(data[place : place + 4])
    data[place : place + 4] = int(length * factor).to_bytes(4)
    path = tmp_path / 'film.mp4'
    path.write_bytes(data)
    info = video.probe(path)
    assert (info.frames, info.duration) == (50, pytest.approx(2.0, abs=0.01))
    assert info.fps == pytest.approx(25, abs=0.1)
    frames, _ = video.sample_frames(path, count=4)
    assert [films.read_number(frame) for frame in frames] == [6, 18, 31, 43]
    assert sum(1 for _ in video.iterate_frames(path)) == 50


def test_a_grid_gives_each_frame_once_and_when_it_ends(tmp_path, film):
    def grid(path, rate):
        return [(films.read_number(f), b, e) for f, b, e in video.iterate_grid(path, rate)]

    assert grid(film, 2) == [
        (0, 0, pytest.approx(0.48)),
        (12, pytest.approx(0.48), pytest.approx(1.0)),
        (25, pytest.approx(1.0), pytest.approx(1.48)),
        (37, pytest.approx(1.48), pytest.approx(2.0)),
    ]
    slow = tmp_path / 'slow.mkv'
    films.write(slow, np.arange(4) * 5.0, b_frames=0)  # One frame in five seconds.
    found = grid(slow, 6)
    assert [number for number, _, _ in found] == [0, 1, 2, 3]
    assert [begins for _, begins, _ in found] == pytest.approx([0, 5, 10, 15])
    assert [ends for _, _, ends in found[:3]] == pytest.approx([5, 10, 15])


def test_one_frame_lasts_as_long_as_its_packet_says(tmp_path):
    path = tmp_path / 'one.mp4'
    with av.open(str(path), 'w') as target:
        stream = target.add_stream('libx264', rate=1)
        stream.height, stream.width, stream.pix_fmt = films.HEIGHT, films.WIDTH, 'yuv420p'
        frame = av.VideoFrame.from_ndarray(films.numbered_frame(5), 'rgb24')
        for packet in [*stream.encode(frame), *stream.encode()]:
            packet.duration = 5 * round(1 / packet.time_base)
            target.mux(packet)
    assert video.probe(path).duration == pytest.approx(5)
    [(frame, begins, ends)] = video.iterate_grid(path, 6)
    assert (films.read_number(frame), begins, ends) == (5, 0, pytest.approx(5))
