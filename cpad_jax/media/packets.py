"""The time stamps and key frames of a video, read from its packets without decoding them.

A packet holds one compressed frame. Reading packets takes 1 to 3 % of the time of decoding them,
and tells how long a video is, where a frame is and from which key frame on it can be decoded.
Times are stamps here: whole numbers, in the unit of the track.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av

from cpad_jax.media.video_file import VideoFile

# No codec decodes a frame more than 16 frames before its turn to be shown. So once 17 frames lie
# beyond a time, no packet that is still to come lies before it.
_REORDER = 17

# Times that are kept at most: a video without a key frame for so long gains nothing by an index.
_MOST_TIMES = 20_000

# Key frames before the wanted time that are kept, and how many frames lie between two of them at
# least: in some videos every frame is one.
_KEYS, _APART = 3, 16

# The picture in a packet begins within so many bytes.
_HEADERS = 65_536

# Stamps that go back by more seconds than this begin anew, as where recordings were joined.
ANEW = 1.0


@dataclass(frozen=True)
class KeyFrame:
    """A frame from which decoding can begin: whatever is shown later comes out the same.

    Attributes:
        stamp: When it is shown.
        number: How many frames are shown before it.
    """

    stamp: int
    number: int


def demux(file: VideoFile) -> Iterator[av.Packet]:
    """The packets of a video from where it stands; ends quietly where the file is damaged."""
    try:
        for packet in file.container.demux(file.stream):
            if packet.size:
                yield packet
    except (av.FFmpegError, OSError):
        return


def measure(file: VideoFile, origin: int | None) -> tuple[int, float]:
    """Reads all packets: how many frames are shown, and for how many seconds.

    Args:
        file: A video that was just opened.
        origin: The stamp of the first frame that is decoded; None where frames have none.
    """
    frames, before = 0, 0
    if file.is_avi and origin is not None:
        origin = min(origin, file.stream.start_time or 0)  # Frames come out later than they go in.
    first = last = origin
    length = 1 / file.rate / file.tick  # Of the last frame.
    for packet in demux(file):
        place = file.stamp(packet)
        if packet.is_discard or (place is not None and origin is not None and place < first):
            if not frames or place is None or place > last - ANEW / file.tick:
                continue  # Cut off by the container: decoded, but not shown.
            before, first, last = before + last - first + length, place, place
        frames += 1
        if place is None or origin is None:
            before += length
        elif place >= last:
            last, length = place, packet.duration or length
    if origin is None or not frames:
        return max(frames, 1), max(before, length) * file.tick
    return frames, (before + last - first + length) * file.tick


def _h264_clean(packet: bytes, length: int) -> bool:
    """Only an IDR picture: other key frames may be followed by frames that look back beyond it."""
    return _first_slice(packet, length, lambda byte: byte & 31, range(1, 6)) == 5


def _hevc_clean(packet: bytes, length: int) -> bool:
    """Any random access picture: what is shown after it never looks back beyond it."""
    return _first_slice(packet, length, lambda byte: byte >> 1 & 63, range(32)) in range(16, 22)


def _first_slice(
    packet: bytes, length: int, kind: Callable[[int], int], slices: range
) -> int | None:
    """The kind of the first unit of an H.264 or HEVC packet that holds a part of the picture."""
    place = 0 if length else packet.find(b'\0\0\1')
    while 0 <= place < len(packet) - max(length, 3):
        # Either its length stands before a unit, or a mark.
        start = place + (length or 3)
        if (found := kind(packet[start])) in slices:
            return found
        if length:
            place = start + int.from_bytes(packet[place:start])
        else:
            place = packet.find(b'\0\0\1', start)
    return None


def _mpeg4_clean(packet: bytes, _: int) -> bool:
    """An I picture: what is shown after it never looks back beyond it."""
    place = packet.find(b'\0\0\1\xb6')
    return 0 <= place < len(packet) - 4 and packet[place + 4] >> 6 == 0


def _vp8_clean(packet: bytes, _: int) -> bool:
    return bool(packet) and packet[0] & 1 == 0


def _vp9_clean(packet: bytes, _: int) -> bool:
    """Profiles 0 to 2: marker 10, two bits of profile, not a frame repeated, and a key frame."""
    return bool(packet) and packet[0] >> 6 == 2 and packet[0] >> 4 & 3 != 3 and not packet[0] & 0xC


def _jpeg_clean(packet: bytes, _: int) -> bool:
    return packet[:2] == b'\xff\xd8'


# For every codec that decoding can start in, how to see that a key frame is one: flags in files are
# wrong at times. Other codecs (AV1 among them) are read from the start.
_CLEAN: dict[str, Callable[[bytes, int], bool]] = {
    'h264': _h264_clean,
    'hevc': _hevc_clean,
    'mpeg4': _mpeg4_clean,
    'vp8': _vp8_clean,
    'vp9': _vp9_clean,
    'mjpeg': _jpeg_clean,
}

# AVI stamps packets by their place in the file; these need no others.
_IN_AVI = ('mpeg4', 'mjpeg')


class Packets:
    """Goes through the packets of a video, forwards only, and keeps those near a wanted time.

    Attributes:
        trusted: False from the moment on at which the packets contradict each other or the decoder.
            What was said before holds.
        read: How many packets were read.
        keys: The stamps of the last few key frames, ascending.
    """

    def __init__(self, file: VideoFile, origin: int):
        """Takes a video that was just opened, and is used for nothing else.

        Args:
            file: The open video.
            origin: The stamp of the first frame that is decoded.
        """
        self._file, self._origin = file, origin
        codec = file.stream.codec_context.codec.canonical_name
        self._clean = _CLEAN.get(codec)
        self._unit_length = _unit_length(codec, file.stream.codec_context.extradata or b'')
        # Only these containers go to a key frame when told to seek, and only there.
        self.trusted = self._clean is not None and (
            file.holds('mov') or file.holds('matroska') or (file.holds('avi') and codec in _IN_AVI)
        )
        self.read = 0
        self._source = demux(file)
        self._ended = False
        self._dropped = 0
        self._times: list[int] = []  # Ascending; those from the first kept key frame on.
        self.keys: list[int] = []

    def close(self) -> None:
        """Closes the file."""
        self._source.close()
        self._file.close()

    def shown_at(self, time: int) -> int | None:
        """When the frame begins that is shown at a time.

        Args:
            time: No earlier than in the last call.

        Returns:
            The last stamp of a frame up to `time`; None where it is not known for certain.
        """
        while self.trusted and not self._ended:
            if len(self._times) - bisect.bisect_right(self._times, time) >= _REORDER:
                break
            self._read_one()
            if len(self.keys) > 2 * _KEYS and self.keys[-1] <= time:
                self._forget(time)
        place = bisect.bisect_right(self._times, time)
        if not self._dropped and self._times[:1] != [self._origin]:
            self.trusted = False  # The first frame that was decoded has no packet.
        if not self.trusted or place == 0:
            return None
        shown = self._times[place - 1]
        self._forget(shown)
        return shown

    def key_frames(self, time: int) -> list[KeyFrame]:
        """The last few key frames up to a stamp that `shown_at` gave, latest first."""
        return [KeyFrame(key, self.number(key)) for key in reversed(self.keys) if key <= time]

    def number(self, time: int) -> int:
        """How many frames are shown before the one of a stamp that `shown_at` gave."""
        return self._dropped + bisect.bisect_left(self._times, time)

    def between(self, first: int, last: int) -> list[int]:
        """The stamps of the kept frames from `first` to `last`, both included."""
        start = bisect.bisect_left(self._times, first)
        return self._times[start : bisect.bisect_right(self._times, last)]

    def _read_one(self) -> None:
        packet = next(self._source, None)
        if packet is None:
            self._ended = True
            return
        self.read += 1
        time = self._file.stamp(packet)
        if time is None or packet.is_corrupt or packet.pts != time:
            self.trusted = False
            return
        if packet.is_keyframe:
            # Whatever comes before a key frame is shown before it, or the stamps are wrong.
            if (self._times and time <= self._times[-1]) or not self._is_clean(packet):
                self.trusted = False
                return
            shown = time >= self._origin and not packet.is_discard
            if shown and (not self.keys or len(self.between(self.keys[-1], time)) >= _APART):
                self.keys.append(time)
        elif self.read == 1:
            self.trusted = False
        if time < self._origin or packet.is_discard:
            return  # Cut off by the container: decoded, but not shown.
        place = bisect.bisect_left(self._times, time)
        twice = place < len(self._times) and self._times[place] == time
        # A frame from before what was dropped would make the numbers wrong.
        late = place == 0 and self._dropped > 0
        if twice or late or len(self._times) >= _MOST_TIMES:
            self.trusted = False
            return
        self._times.insert(place, time)

    def _is_clean(self, packet: av.Packet) -> bool:
        return self._clean(bytes(memoryview(packet)[:_HEADERS]), self._unit_length)

    def _forget(self, time: int) -> None:
        """Keeps what follows the last few key frames up to a time."""
        past = bisect.bisect_right(self.keys, time)
        if past > _KEYS:
            del self.keys[: past - _KEYS]
            place = bisect.bisect_left(self._times, self.keys[0])
            del self._times[:place]
            self._dropped += place


def _unit_length(codec: str, extradata: bytes) -> int:
    """How many bytes before each unit of H.264 or HEVC tell its length; 0 where marks stand."""
    place = {'h264': 4, 'hevc': 21}.get(codec)
    if place is None or len(extradata) <= place or extradata[0] != 1:
        return 0
    return (extradata[place] & 3) + 1
