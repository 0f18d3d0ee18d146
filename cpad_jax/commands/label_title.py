r"""Labels a movie or show: who is in which shot, as a table that data sets are built from.

cpad-label --videos films/heat.mp4 --title heat --source movie --cast heat.csv \
    --exemplars VGGFace2 --subtitles films --out labels/heat

Look at labels/heat/sheets, copy wrong rows of labels/heat/tracks.csv into a file, write the right
`name` into them (or `not NAME`, or `unknown`), and run again with --corrections FILE.
"""

from __future__ import annotations

from collections.abc import Sequence

from cpad_jax import errors


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and labels."""
    parser = errors.CommandParser(__doc__)
    parser.add_argument(
        '--videos', required=True, nargs='+', type=errors.given_path, help='files or folders'
    )
    parser.add_argument('--title', required=True, help='id of the movie or show')
    parser.add_argument('--source', required=True, choices=('movie', 'show'))
    parser.add_argument(
        '--cast', required=True, type=errors.given_path, help='CSV: name[,person_id,character]'
    )
    parser.add_argument(
        '--exemplars', type=errors.given_path, help='folder of photos, DIR/PERSON/*.jpg'
    )
    parser.add_argument(
        '--subtitles', type=errors.given_path, help='folder of .srt, .vtt, .ass named as the videos'
    )
    parser.add_argument(
        '--encoding', help='of the subtitles, e.g. cp1251 (default: guessed, and said)'
    )
    parser.add_argument(
        '--corrections', type=errors.given_path, help='rows of tracks.csv, put right by hand'
    )
    parser.add_argument(
        '--out', required=True, type=errors.given_path, help='folder for the results'
    )
    parser.add_argument(
        '--detector', type=errors.given_path, help='YuNet file (default: CPAD_FACE_DETECTOR)'
    )
    parser.add_argument(
        '--embedder', type=errors.given_path, help='ONNX file (default: CPAD_FACE_EMBEDDER)'
    )
    parser.add_argument(
        '--least_confidence', type=float, default=0.5, help='names with less are not given'
    )
    options = parser.parse_args(arguments)
    if not 0 <= options.least_confidence <= 1:
        raise errors.UserError(
            f'--least_confidence {options.least_confidence}: expected a number from 0 to 1'
        )

    from cpad_jax.labelling import cast, title
    from cpad_jax.media.face_embedding import FaceEmbedder
    from cpad_jax.media.faces import FaceDetector
    from cpad_jax.printable import say

    detector, embedder = FaceDetector(options.detector), FaceEmbedder(options.embedder)
    labelled = title.label_title(
        title.TitleFiles(
            options.title, options.source, tuple(options.videos), options.cast, options.exemplars,
            options.subtitles, options.corrections, options.encoding,
        ),
        detector, embedder.embed, f'{detector.sha256} {embedder.sha256}', options.out,
        options.least_confidence,
    )  # fmt: skip
    say(title.summary(labelled, cast.read_cast(options.cast)))
    say(f'table: {options.out / "annotations.jsonl"}; faces to check: {options.out / "sheets"}')
