"""Faces as vectors: of one person near each other, of two about orthogonal (by OpenCV).

The network's file does not come with the package; see `model_files`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import cv2
import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.media import faces, model_files, onnx_files

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# The cosine from which on two faces are taken for one person's, by the file's sha256.
_THRESHOLDS = {
    # SFace: where OpenCV's own example sets it, for the best accuracy on LFW.
    model_files.FACE_EMBEDDER.sha256: 0.363,
    # MobileFace identification V2: of seven portraits, pairs of two people reach 0.21, and pairs of
    # one 0.54 and more. Nearer to the former, because faces in videos are small and turned.
    'd7ab279f6c76c7de62ad926a26f242e8db95e3087e37480225a56674ca8991b9': 0.29,
}
_OTHER_THRESHOLD = 0.363


class FaceEmbedder:
    """A face embedder in an ONNX file: SFace, or a network of ArcFace's form.

    It takes float [1, 3, 112, 112], RGB from 0 to 255, aligned as `faces.align_face` does, and
    gives [1, F]. `cv2.FaceRecognizerSF` feeds SFace the same. Not to be shared between threads.

    Attributes:
        path: The file.
        name: Of the file, without its ending.
        sha256: Of the file; features of different ones must never be mixed.
        width: F.
        threshold: Cosine from which on two faces are taken for one person's.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None):
        """Opens the network's file.

        Args:
            path: An `.onnx` file; without it, the one that the environment variable
                CPAD_FACE_EMBEDDER names, or that was fetched before.

        Raises:
            UserError: No path is given, or there is no face embedder.
        """
        self.path = model_files.find(model_files.FACE_EMBEDDER, path)
        self.name = self.path.stem
        data, self.sha256 = onnx_files.read(self.path, 'embedder')
        try:
            # From memory, so that what runs is what was hashed and no file beside it is opened.
            self._network = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
            pictures = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), np.uint8)
            first, second = (self._run(picture) for picture in pictures)
        except cv2.error as error:
            raise self._refusal() from error
        # Other networks open all the same: they give several rows, or few numbers, or no vectors.
        sized = first is not None and first.ndim == 2 and len(first) == 1 and first.shape[1] >= 16
        if not sized or not np.isfinite(first).all() or np.allclose(first, second):
            raise self._refusal()
        self.width = first.shape[1]
        self.threshold = _THRESHOLDS.get(self.sha256, _OTHER_THRESHOLD)

    def _refusal(self) -> UserError:
        return UserError(
            f'{self.path}: this is not a face embedder that takes 112x112 pixels and gives one '
            f'vector; {model_files.FACE_EMBEDDER.where}'
        )

    def _run(self, aligned: np.ndarray) -> np.ndarray:
        self._network.setInput(aligned.transpose(2, 0, 1)[None].astype(np.float32))
        return self._network.forward()

    def align(self, image: np.ndarray, face: faces.Face) -> np.ndarray:
        """The picture of a face that the network takes: uint8 [112, 112, 3] RGB."""
        return faces.align_face(image, face)

    def embed(self, image: np.ndarray, found: Sequence[faces.Face]) -> np.ndarray:
        """Embeds faces of one picture.

        Args:
            image: uint8 [H, W, 3] RGB.
            found: N faces in it.

        Returns:
            float32 [N, F], L2-normalised.
        """
        features = np.zeros((len(found), self.width), np.float32)
        # One by one: files may hold a batch of one, and several at once are no faster.
        for feature, face in zip(features, found, strict=True):
            feature[:] = self._run(self.align(image, face))[0]
        return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
