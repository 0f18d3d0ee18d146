"""Frames and their times beside those of the `ffmpeg` command, on many kinds of file."""

import shutil
import subprocess

import numpy as np
import pytest

from cpad_jax.media import video

pytestmark = pytest.mark.skipif(not shutil.which('ffmpeg'), reason='needs the ffmpeg command')

H264 = '-c:v libx264 -preset ultrafast'
FIELDS = '-vf setfield=tff -flags +ildct+ilme'
TFF = f'{H264} -vf setfield=tff -flags +ildct+ilme -x264opts tff=1'

# Name -> (options of ffmpeg that make it, height and width that are shown); {} is a test picture.
KINDS = {
    'h264.mp4': (H264, (180, 320)),
    'h264.mkv': (f'{H264} -bf 3', (180, 320)),
    'h264.mov': (f'{H264} -bf 0', (180, 320)),
    'h264.avi': (f'{H264} -bf 0', (180, 320)),
    'h264.flv': (H264, (180, 320)),
    'h264.h264': (H264, (180, 320)),
    'fragments.mp4': (f'{H264} -movflags frag_keyframe+empty_moov -g 5', (180, 320)),
    'open.mkv': (f'{H264} -x264-params open_gop=1:keyint=8:bframes=2', (180, 320)),
    'tff.mp4': (TFF, (180, 320)),
    'bff.mts': (f'{H264} -vf setfield=bff -flags +ildct+ilme -x264opts bff=1', (180, 320)),
    'tff.mkv': (TFF, (180, 320)),
    'tff10.mkv': (f'{TFF} -pix_fmt yuv420p10le', (180, 320)),
    'tff422.mov': (f'{TFF} -pix_fmt yuv422p', (180, 320)),
    'hevc.mp4': ('-c:v libx265 -preset ultrafast -x265-params log-level=none', (180, 320)),
    'hevc10.mkv': (
        '-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p10le',
        (180, 320),
    ),
    'mpeg1.mpg': ('-c:v mpeg1video -q:v 2', (180, 320)),
    'mpeg2.mpg': ('-c:v mpeg2video -q:v 2 -bf 2', (180, 320)),
    'mpeg2tff.vob': (f'-c:v mpeg2video -q:v 2 {FIELDS}', (180, 320)),
    'mpeg2tff.m2ts': (f'-c:v mpeg2video -q:v 2 -bf 2 {FIELDS}', (180, 320)),
    'mpeg2tff.mxf': (f'-c:v mpeg2video -q:v 2 -pix_fmt yuv422p {FIELDS}', (180, 320)),
    'pal.dv': ('-s 720x576 -aspect 4:3 -pix_fmt yuv420p -c:v dvvideo', (576, 768)),
    'ntsc.avi': ('-s 720x480 -r 30000/1001 -aspect 4:3 -pix_fmt yuv411p -c:v dvvideo', (480, 640)),
    'mpeg4.avi': ('-c:v mpeg4 -q:v 2 -bf 0', (180, 320)),
    'mpeg4b.avi': ('-c:v mpeg4 -q:v 2 -bf 2', (180, 320)),
    'mpeg4tff.mp4': (f'-c:v mpeg4 -q:v 2 {FIELDS}', (180, 320)),
    'msmpeg4.avi': ('-c:v msmpeg4 -q:v 2', (180, 320)),
    'mjpeg.avi': ('-c:v mjpeg -q:v 2 -pix_fmt yuvj422p', (180, 320)),
    'mjpeg.mov': ('-c:v mjpeg -q:v 2 -pix_fmt yuvj444p', (180, 320)),
    'vp8.webm': ('-c:v libvpx -deadline realtime -cpu-used 8', (180, 320)),
    'vp9.webm': ('-c:v libvpx-vp9 -deadline realtime -cpu-used 8', (180, 320)),
    'wmv2.wmv': ('-c:v wmv2 -q:v 2', (180, 320)),
    'flv1.flv': ('-c:v flv1 -q:v 2', (180, 320)),
    'h263.3gp': ('-s 352x288 -c:v h263 -q:v 2 -aspect 11:9', (288, 352)),
    'theora.ogv': ('-c:v libtheora -q:v 8', (180, 320)),
    'prores.mov': ('-c:v prores_ks', (180, 320)),
    'ffv1.mkv': ('-c:v ffv1 -pix_fmt yuv444p', (180, 320)),
    'huffyuv.avi': ('-c:v huffyuv -pix_fmt yuv422p', (180, 320)),
    'bgr.avi': ('-c:v rawvideo -pix_fmt bgr24', (180, 320)),
    'animation.mov': ('-c:v qtrle -pix_fmt rgb24', (180, 320)),
    'grey.mkv': ('-c:v ffv1 -pix_fmt gray', (180, 320)),
    'odd.mkv': (f'-s 161x91 {H264} -pix_fmt yuv444p -aspect 161:91', (91, 161)),
    'bt709.mp4': (f'{H264} -colorspace bt709 -color_primaries bt709 -color_trc bt709', (180, 320)),
    'bt2020.mkv': (
        f'{H264} -pix_fmt yuv420p10le -colorspace bt2020nc -color_primaries bt2020',
        (180, 320),
    ),
    'full.mp4': (f'{H264} -vf scale=out_range=full -color_range pc', (180, 320)),
    'wide.mp4': (f'-s 180x144 {H264} -aspect 16:9', (144, 256)),
    'narrow.mpg': ('-s 352x240 -c:v mpeg2video -q:v 2 -aspect 4:3', (240, 320)),
    'wide_tff.mkv': (f'-s 180x144 {TFF} -aspect 16:9', (144, 256)),
    'wide709.mp4': (
        f'-s 180x144 {H264} -aspect 16:9 -colorspace bt709 -color_range tv',
        (144, 256),
    ),
    'wide_full.mkv': (
        f'-s 180x144 {H264} -aspect 16:9 -vf scale=out_range=full -color_range pc',
        (144, 256),
    ),
    'uneven.mkv': (f"{H264} -vf select='mod(n*n\\,3)' -fps_mode vfr", (180, 320)),
    'slow.mp4': (f'{H264} -vf fps=5 -r 5', (180, 320)),
}


def ffmpeg(*options):
    command = ['ffmpeg', '-v', 'error', '-nostdin', '-y', *map(str, options)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def reference(path, size, rate=25, track='0:v:0'):
    """Frames [T, H, W, 3] of the ffmpeg command at a rate; slot n holds time n / rate."""
    height, width = size
    raw = ffmpeg(
        '-i', path, '-map', track, '-vf', f'scale={width}:{height},fps={rate}', '-pix_fmt', 'rgb24',
        '-f', 'rawvideo', '-',
    )  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def compare(path, expected, rate=25):
    """Every slot of the reference holds the frame that begins nearest to its time."""
    info = video.probe(path)
    assert (info.height, info.width) == expected.shape[1:3]
    assert abs(info.duration * rate - len(expected)) <= 1
    times = (np.arange(len(expected)) + 0.5) / rate - 1.5e-3
    frames, begins = video.sample_frames(path, times=times.tolist())
    off = np.abs(frames.astype(np.int16) - expected).mean(axis=(1, 2, 3))
    assert off.max() <= 2, off.round(2)
    assert (begins <= times + 1e-3).all()
    return off.max()


def make(path, options, seconds=1):
    source = f'testsrc2=s=320x180:r=25:d={seconds}'
    ffmpeg('-f', 'lavfi', '-i', source, *options.replace("'", '').split(), path)


@pytest.mark.slow
@pytest.mark.parametrize('name', KINDS)
def test_frames_are_those_of_ffmpeg(tmp_path, name):
    options, size = KINDS[name]
    make(tmp_path / name, options)
    compare(tmp_path / name, reference(tmp_path / name, size))


@pytest.mark.slow
@pytest.mark.parametrize('turn', ['90', '180', '270', 'mirrored'])
def test_turned_frames_are_those_of_ffmpeg(tmp_path, turn):
    flat, path = tmp_path / 'flat.mp4', tmp_path / 'turned.mp4'
    make(flat, H264)
    data = bytearray(flat.read_bytes())
    place = data.index(b'tkhd') + 4 + 40
    a, b, c, d = {
        '90': (0, 1, -1, 0), '180': (-1, 0, 0, -1), '270': (0, -1, 1, 0), 'mirrored': (-1, 0, 0, 1)
    }[turn]  # fmt: skip
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data[place : place + 36] = b''.join(value.to_bytes(4, signed=True) for value in matrix)
    path.write_bytes(data)
    size = (320, 180) if turn in ('90', '270') else (180, 320)
    expected = reference(path, size)
    if turn == 'mirrored':  # This ffmpeg turns by angles only.
        expected = reference(flat, size)[:, :, ::-1]
    compare(path, expected)


@pytest.mark.slow
def test_the_largest_moving_track_is_read(tmp_path):
    small, cover = tmp_path / 'small.mp4', tmp_path / 'cover.png'
    make(small, f'-s 160x90 {H264}')
    ffmpeg('-f', 'lavfi', '-i', 'color=red:s=640x640:d=1', '-frames:v', 1, cover)
    large = tmp_path / 'large.mp4'
    make(large, H264)
    expected = reference(large, (180, 320))
    for ending in ('mp4', 'mkv', 'ts'):
        path = tmp_path / f'two.{ending}'
        ffmpeg('-i', small, '-i', large, '-map', '0:v', '-map', '1:v', '-c', 'copy', path)
        compare(path, expected)
    for name, options in (
        ('art.mp4', ['-disposition:v:0', 'attached_pic']),
        ('still.mkv', ['-disposition:v:0', 'default']),
    ):
        path = tmp_path / name
        ffmpeg('-i', cover, '-i', large, '-map', '0:v', '-map', '1:v', '-c', 'copy', *options, path)
        compare(path, expected)


@pytest.mark.slow
def test_a_change_of_size_and_format_within_a_stream(tmp_path):
    for name, options in (('a.ts', H264), ('b.ts', f'-s 240x180 -pix_fmt yuv444p {H264}')):
        make(tmp_path / name, options)
    path = tmp_path / 'both.ts'
    path.write_bytes((tmp_path / 'a.ts').read_bytes() + (tmp_path / 'b.ts').read_bytes())
    frames = [frame for frame, _ in video.iterate_frames(path)]
    assert {frame.shape for frame in frames} == {(180, 320, 3)}
    for name, part in (('a.ts', frames[:25]), ('b.ts', frames[25:])):
        expected = reference(tmp_path / name, (180, 320))
        assert len(part) == len(expected)
        assert np.abs(np.stack(part).astype(int) - expected).mean() < 2.5, name


@pytest.mark.slow
def test_a_picture_that_starts_after_the_sound(tmp_path):
    path = tmp_path / 'late.mkv'
    ffmpeg(
        '-f', 'lavfi', '-i', 'sine=d=4', '-itsoffset', 1.6, '-f', 'lavfi', '-i',
        'testsrc2=s=320x180:r=25:d=1', *H264.split(), path,
    )  # fmt: skip
    alone = tmp_path / 'alone.mp4'
    make(alone, H264)
    compare(path, reference(alone, (180, 320)))
    assert video.probe(path).start == pytest.approx(1.6, abs=0.03)
    assert video.probe(alone).start == 0
