"""Finds the moments of videos in which a person is seen, from a few photos of them.

cpad-find --fetch
cpad-find --photos photos/ann --videos holiday2025 --sheet ann.jpg
cpad-find --photos ann1.jpg ann2.jpg --videos beach.mp4 party.mov --json ann.json
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from cpad_jax import atomic, errors
from cpad_jax.labelling import contact_sheet, find_person
from cpad_jax.labelling.contact_sheet import format_time
from cpad_jax.media import face_embedding, faces, file_kinds, images, model_files
from cpad_jax.printable import printable, say


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, searches, prints and writes."""
    parser = errors.CommandParser(__doc__)
    parser.add_argument(
        '--photos', nargs='+', type=errors.given_path, help='files or folders; see docs/faces.md'
    )
    parser.add_argument('--videos', nargs='+', type=errors.given_path, help='files or folders')
    parser.add_argument('--detector', type=errors.given_path, help='a YuNet .onnx file')
    parser.add_argument(
        '--embedder', type=errors.given_path, help='an SFace or ArcFace-like .onnx file'
    )
    parser.add_argument('--fetch', action='store_true', help='download these two, once')
    parser.add_argument(
        '--json', type=errors.given_path, help='write [{video, start, end, score}], best first'
    )
    parser.add_argument('--sheet', type=errors.given_path, help='draw the best moments (.jpg)')
    parser.add_argument(
        '--threshold',
        type=float,
        help='lowest score that is reported, -1 to 1 (default: what suits the embedder)',
    )
    parser.add_argument(
        '--rate',
        type=float,
        default=find_person.RATE,
        help='frames looked at per second of video (default: %(default)s)',
    )
    options = parser.parse_args(arguments)
    if not 0 < options.rate <= 240:
        raise errors.UserError(f'--rate {options.rate}: expected more than 0 and at most 240')
    if options.threshold is not None and not -1 <= options.threshold <= 1:
        raise errors.UserError(f'--threshold {options.threshold}: expected -1 to 1')
    if options.sheet and options.sheet.suffix.lower() not in ('.jpg', '.jpeg'):
        raise errors.UserError(f'--sheet {options.sheet}: expected a .jpg file')
    if options.json and options.sheet and atomic.same_file(options.json, options.sheet):
        raise errors.UserError(
            f'--json {options.json} and --sheet {options.sheet} are one file; give two'
        )
    for result in filter(None, (options.json, options.sheet)):
        write(result, atomic.check)
    if options.fetch:
        for model in (model_files.FACE_DETECTOR, model_files.FACE_EMBEDDER):
            print(f'{model.what}: {model_files.fetch(model)}', file=printed_to(options))
        if not options.photos and not options.videos:
            return
    if not options.photos or not options.videos:
        raise errors.UserError('give --photos and --videos, or --fetch alone; --help says more')
    search(options)


def search(options) -> None:
    """Runs the command; the options were checked."""
    aside: list[str] = []

    def reject(error: errors.UserError) -> None:
        aside.append(f'set aside: {error}')

    try:
        photos = find_person.list_inputs(options.photos, file_kinds.PICTURE, reject, aside.append)
        videos = find_person.list_inputs(options.videos, file_kinds.VIDEO, reject, aside.append)
        detector = faces.FaceDetector(options.detector)
        embedder = face_embedding.FaceEmbedder(options.embedder)
        keep_inputs(options, [*photos, *videos, detector.path, embedder.path])
        threshold = embedder.threshold if options.threshold is None else options.threshold
        person = find_person.embed_person(photos, detector, embedder, reject, aside.append)
        # At once, because a search with the wrong photos is better broken off.
        report(aside)
        moments: list[find_person.Moment] = []
        unread = 0
        for number, path in enumerate(videos):
            try:
                for moment in find_person.find_moments(
                    path, person, detector, embedder, options.rate
                ):
                    moments.append(moment)
            except find_person.PartialVideoError as error:
                aside.append(f'read up to {format_time(error.until)} only: {error}')
            except errors.UserError as error:
                reject(error)
                unread += 1
            except KeyboardInterrupt:
                say(
                    f'incomplete: interrupted in {printable(path)}, the videos before it ({number} '
                    f'of {len(videos)}) are done; --json and --sheet are not written; so far:',
                    file=printed_to(options),
                )
                show(
                    find_person.merge_moments(moments, threshold),
                    moments,
                    threshold,
                    printed_to(options),
                )
                raise
        if unread == len(videos):
            raise errors.UserError('none of the videos can be read; give others (see above)')
        found = find_person.merge_moments(moments, threshold)
        # Nobody may be there to read what is printed, and no room for what is saved.
        try:
            save(found, options)
        finally:
            show(found, moments, threshold, printed_to(options))
    finally:
        report(aside)


def keep_inputs(options, given: Sequence[Path]) -> None:
    """Makes sure that no result is written over a file that the search reads."""
    for option, result in (('--json', options.json), ('--sheet', options.sheet)):
        for path in given if result else ():
            if atomic.same_file(result, path):
                raise errors.UserError(
                    f'{option} {result}: that would overwrite {path}, which is searched or '
                    'searched with; give another path'
                )


def report(aside: list[str]) -> None:
    """Prints what is to be said beside the results, and takes it off the list."""
    while aside:
        say(' '.join(aside.pop(0).split()), sys.stderr)


def printed_to(options) -> TextIO:
    """Where to print: stdout, unless a result goes there, which is to be read by a program."""
    results = filter(None, (options.json, options.sheet))
    return sys.stderr if any(map(atomic.is_stdout, results)) else sys.stdout


def show(
    found: Sequence[find_person.Moment],
    moments: Sequence[find_person.Moment],
    threshold: float,
    to: TextIO | None = None,
) -> None:
    """Prints the moments found, or which of all came nearest."""
    for moment in found:
        say(
            f'{moment.score:.3f}  {format_time(moment.start)} - {format_time(moment.end)}  '
            f'{printable(moment.video)}',
            file=to,
        )
    if not found:
        best = max(moments, key=lambda moment: moment.score, default=None)
        nearest = 'no face was seen' if best is None else (
            f'the nearest face scores {below(best.score, threshold)} at '
            f'{format_time(best.best_time)} of {printable(best.video)}'
        )  # fmt: skip
        least = f'{threshold:.2f}' if threshold == float(f'{threshold:.2f}') else str(threshold)
        say(f'nothing scores {least} or more; {nearest}', file=to)


def below(score: float, threshold: float) -> str:
    """A score with three digits, or as many as it takes to be less than `threshold` in print."""
    written = (f'{score:.{digits}f}' for digits in range(3, 17))
    return next((text for text in written if float(text) < threshold), repr(score))


def save(found: Sequence[find_person.Moment], options) -> None:
    """Writes the moments found where the command line says."""
    if options.json:
        rows = [
            {
                'video': str(moment.video),
                'start': round(moment.start, 3),
                'end': round(moment.end, 3),
                'score': round(moment.score, 4),
            }
            for moment in found
        ]
        write(options.json, atomic.write_json, rows)
    if options.sheet and found:
        write(options.sheet, atomic.write_bytes, images.encode_jpeg(contact_sheet.draw(found)))
        say(f'picture: {printable(options.sheet)}', file=printed_to(options))
    elif options.sheet:
        # One of an earlier search would be taken for this one's.
        write(options.sheet, atomic.remove)


def write(path: Path, how: Callable[..., None], *what) -> None:
    """Writes a result where the command line says, or checks that it can be."""
    try:
        how(path, *what)
    except OSError as error:
        raise errors.UserError(
            f'{path}: cannot be written ({error.strerror}); give another path'
        ) from error
