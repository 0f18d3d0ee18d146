"""Runs an unknown face network once, in a process of its own, which may crash.

OpenCV reads ONNX files without much care: one changed byte can end the process, or fill the memory.
This program gets a file on its standard input and ends well where the file could be used. It
imports nothing of the package, so that it starts quickly.
"""

from __future__ import annotations

import contextlib
import resource
import sys

CPU_SECONDS = 60
# Address space: of Python and OpenCV themselves, and for each byte of the file.
BASE_BYTES, TIMES_FILE = 2 << 30, 6

NO_NETWORK = 3  # The exit status where OpenCV says that the file is none.


def main() -> int:
    """Tries the network on stdin as the kind that the command line names."""
    data = sys.stdin.buffer.read()
    for what, most in (
        (resource.RLIMIT_AS, BASE_BYTES + TIMES_FILE * len(data)),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # Not every system knows each of them.
            # The process gets a signal when its time is up, and is killed if that does not end it.
            grace = 5 if what == resource.RLIMIT_CPU else 0
            resource.setrlimit(what, (most, most + grace))
    import cv2
    import numpy as np

    buffer = np.frombuffer(data, np.uint8)
    try:
        if sys.argv[1] == 'detector':
            network = cv2.FaceDetectorYN.create('onnx', buffer, np.zeros(0, np.uint8), (320, 320))
            network.detect(np.zeros((320, 320, 3), np.uint8))
        else:
            network = cv2.dnn.readNetFromONNX(buffer)
            network.setInput(np.zeros((1, 3, 112, 112), np.float32))
            network.forward()
    except cv2.error:
        return NO_NETWORK
    return 0


if __name__ == '__main__':
    sys.exit(main())
