"""The time stamps and key frames of a video, read from its packets without decoding them.

A packet holds one compressed frame. Reading packets takes 1 to 3 % of the time of decoding them,
and tells where a frame is and from which key frame on it can be decoded.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

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


@dataclass(frozen=True)
class KeyFrame:
    """A frame from which decoding can begin: whatever is shown later comes out the same.

    Attributes:
        time: Seconds from the first frame.
        number: How many frames are shown before it.
    """

    time: float
    number: int


def _h264_clean(packet: bytes) -> bool:
    """Only an IDR picture: other key frames may be followed by frames that look back beyond it."""
    return _first_slice(packet, lambda byte: byte & 31, range(1, 6)) == 5


def _hevc_clean(packet: bytes) -> bool:
    """Any random access picture: what is shown after it never looks back beyond it."""
    return _first_slice(packet, lambda byte: byte >> 1 & 63, range(32)) in range(16, 22)


def _first_slice(packet: bytes, kind: Callable[[int], int], slices: range) -> int | None:
    """The kind of the first unit of an H.264 or HEVC packet that holds a part of the picture."""
    place = packet.find(b'\0\0\1')
    while 0 <= place < len(packet) - 3:
        if (found := kind(packet[place + 3])) in slices:
            return found
        place = packet.find(b'\0\0\1', place + 3)
    return None


def _mpeg4_clean(packet: bytes) -> bool:
    """An I picture: what is shown after it never looks back beyond it."""
    place = packet.find(b'\0\0\1\xb6')
    return 0 <= place < len(packet) - 4 and packet[place + 4] >> 6 == 0


def _vp8_clean(packet: bytes) -> bool:
    return bool(packet) and packet[0] & 1 == 0


def _vp9_clean(packet: bytes) -> bool:
    """Profiles 0 to 2: marker 10, two bits of profile, not a frame repeated, and a key frame."""
    return bool(packet) and packet[0] >> 6 == 2 and packet[0] >> 4 & 3 != 3 and not packet[0] & 0xC


def _jpeg_clean(packet: bytes) -> bool:
    return packet[:2] == b'\xff\xd8'


# For every codec that decoding can start in, how to see that a key frame is one: flags in files are
# wrong at times. Other codecs (AV1 among them) are read from the start.
_CLEAN: dict[str, Callable[[bytes], bool]] = {
    **dict.fromkeys(('avc1', 'avc3', 'h264', 'x264'), _h264_clean),
    **dict.fromkeys(('hvc1', 'hev1', 'hevc', 'h265'), _hevc_clean),
    **dict.fromkeys(('mp4v', 'fmp4', 'xvid', 'divx', 'dx50'), _mpeg4_clean),
    **dict.fromkeys(('vp80', 'vp08'), _vp8_clean),
    **dict.fromkeys(('vp90', 'vp09'), _vp9_clean),
    **dict.fromkeys(('mjpg', 'jpeg'), _jpeg_clean),
}


class Packets:
    """Goes through the packets of a video, forwards only, and keeps those near a wanted time.

    Attributes:
        trusted: False from the moment on at which the packets contradict each other or the decoder.
            What was said before holds.
        read: How many packets were read.
    """

    def __init__(self, capture: cv2.VideoCapture, origin: float, is_avi: bool):
        """Takes a video that was just opened, and is used for nothing else.

        Args:
            capture: The open video.
            origin: The stamp of the first frame that is decoded, in seconds.
            is_avi: Whether packets are stamped by their place in the file. Frames that are shown
                in another order then have the stamp of another frame.
        """
        self._capture, self._origin, self._is_avi = capture, origin, is_avi
        code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        self._clean = _CLEAN.get(code.to_bytes(4, 'little').decode('latin-1').lower())
        # Others have no business in AVI, and no test here.
        known = self._clean in (_mpeg4_clean, _jpeg_clean) if is_avi else self._clean is not None
        self.trusted = known and capture.set(cv2.CAP_PROP_FORMAT, -1)
        self.read = 0
        self._ended = False
        self._dropped = 0
        self._times: list[float] = []  # Ascending; those from the first kept key frame on.
        self._keys: list[float] = []

    def close(self) -> None:
        """Closes the file."""
        self._capture.release()

    def shown_at(self, time: float) -> float | None:
        """When the frame begins that is shown at a time.

        Args:
            time: Seconds from the first frame; no earlier than in the last call.

        Returns:
            The last time of a frame up to `time`; None where it is not known for certain.
        """
        while self.trusted and not self._ended:
            if len(self._times) - bisect.bisect_right(self._times, time) >= _REORDER:
                break
            self._read_one()
            if len(self._keys) > 2 * _KEYS and self._keys[-1] <= time:
                self._forget(time)
        place = bisect.bisect_right(self._times, time)
        if not self._dropped and self._times[:1] != [0.0]:
            self.trusted = False  # The first frame that was decoded has no packet.
        if not self.trusted or place == 0:
            return None
        shown = self._times[place - 1]
        self._forget(shown)
        return shown

    def key_frames(self, time: float) -> list[KeyFrame]:
        """The last few key frames up to a time that `shown_at` gave, latest first."""
        return [KeyFrame(key, self.number(key)) for key in reversed(self._keys) if key <= time]

    def number(self, time: float) -> int:
        """How many frames are shown before the one of a time that `shown_at` gave."""
        return self._dropped + bisect.bisect_left(self._times, time)

    def between(self, first: float, last: float) -> list[float]:
        """The times of the kept frames from `first` to `last`, both included."""
        start = bisect.bisect_left(self._times, first)
        return self._times[start : bisect.bisect_right(self._times, last)]

    def _read_one(self) -> None:
        if not self._capture.grab():
            self._ended = True
            return
        self.read += 1
        time = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 - self._origin
        if self._capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME):
            # Whatever comes before a key frame is shown before it, or the stamps are wrong.
            if (self._times and time <= self._times[-1]) or not self._is_clean():
                self.trusted = False
                return
            if time >= 0 and (not self._keys or len(self.between(self._keys[-1], time)) >= _APART):
                self._keys.append(time)
        elif self.read == 1:
            self.trusted = False
        if time < 0:
            self.trusted = self.trusted and not self._is_avi
            return  # Cut off by the container: decoded, but not shown.
        place = bisect.bisect_left(self._times, time)
        twice = place < len(self._times) and self._times[place] == time
        # A frame from before what was dropped would make the numbers wrong.
        late = place == 0 and self._dropped > 0
        if twice or late or len(self._times) >= _MOST_TIMES:
            self.trusted = False
            return
        self._times.insert(place, time)

    def _is_clean(self) -> bool:
        ok, packet = self._capture.retrieve()
        return bool(ok) and self._clean(np.asarray(packet).ravel()[:_HEADERS].tobytes())

    def _forget(self, time: float) -> None:
        """Keeps what follows the last few key frames up to a time."""
        past = bisect.bisect_right(self._keys, time)
        if past > _KEYS:
            del self._keys[: past - _KEYS]
            place = bisect.bisect_left(self._times, self._keys[0])
            del self._times[:place]
            self._dropped += place
