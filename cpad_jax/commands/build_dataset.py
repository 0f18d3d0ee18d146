r"""Builds a data set: the drawn world with its video files, or one from files that you have.

cpad-build-dataset vggface2 --manual_dir downloads/vggface2 --data_dir data
cpad-build-dataset celebrities_in_action --manual_dir downloads --data_dir data \
    --annotations people.jsonl
cpad-build-dataset synthetic_cast --data_dir data
cpad-build-dataset synthetic_cast --data_dir data --sheet docs/world.jpg
cpad-build-dataset synthetic_cast --data_dir small --movies 2 --shows 1 \
    --clips_per_title 6 --seen_people 20 --cast_seen 12 --unseen_people 6
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import inspect
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from cpad_jax import (
    atomic,
    errors,
)
from cpad_jax.data import (
    build,
    built_dataset,
    rejection_log,
    synthetic_cast,
)
from cpad_jax.printable import say
from cpad_jax.synthetic.world import WorldSpec
from cpad_jax.training import runtime

# The sheet is as wide as five clips and shows a row of eight people under them.
_COLUMNS, _ROWS, _PEOPLE = 5, 4, 8
_FRAME = (224, 168)
_GAP, _LINE, _LINES = 10, 18, 4  # At most three people, and the place.
_PAPER, _INK, _FAINT = (250, 249, 246), (34, 34, 38), (120, 120, 126)


def summary(paths: built_dataset.DatasetPaths) -> str:
    """What a built data set holds, as a few lines of text."""
    from cpad_jax.data import readers

    clips = readers.ClipReader(paths.clips, 'test')
    people = paths.read_people()
    titles: collections.Counter[str] = collections.Counter()
    does: collections.Counter[str] = collections.Counter()
    shown, appearances = set(), 0
    for number in range(len(clips)):
        clip = clips[number]
        titles[clip['title']] += 1
        does.update(clips.actions[action] for action in clip['actions'])
        shown.update(person['person_id'] for person in clip['people'])
        appearances += len(clip['people'])
    lines = [
        f'{paths.folder}: {len(clips)} clips of {len(titles)} titles, '
        f'{appearances / len(clips):.1f} people in a clip',
        f'people: {len(people)}, of whom {sum(p["seen"] for p in people)} are seen in training '
        f'and {len(shown)} appear in clips',
    ]
    for split in ('train', 'references'):
        lines.append(f'{split}: {len(readers.IdentityReader(paths.identities, split))} photos')
    lines.append('clips by action: ' + ', '.join(f'{k} {n}' for k, n in does.most_common()))
    return '\n'.join(lines)


def manual_summary(paths: built_dataset.DatasetPaths) -> str:
    """What a data set from the user's files holds, and what was set aside, as lines of text."""
    import tensorflow_datasets as tfds

    people = paths.read_people()
    lines = [
        f'{paths.folder}: {len(people)} people, of whom {sum(p["seen"] for p in people)} are for '
        'training'
    ]
    printed: list[rejection_log.Group] = []
    for part, folder in paths.parts.items():
        splits = tfds.builder_from_directory(folder).info.splits
        kind = 'photos' if part == 'identities' else 'clips'
        name = f'{part}, ' if len(paths.parts) > 1 else ''
        lines += [f'{name}{key}: {split.num_examples} {kind}' for key, split in splits.items()]
        groups = rejection_log.read_groups(folder)
        if not groups:
            lines.append('set aside: nothing')
            continue
        count = sum(group.count for group in groups.values())
        lines.append(f'set aside: {count}, all listed in {folder / rejection_log.LIST}')
        for reason, group in groups.items():
            if group in printed:  # Parts of the same files leave out the same.
                lines.append(f'  {group.count:>9} {reason}, as above')
                continue
            printed.append(group)
            lines.append(f'  {group.count:>9} {reason}:')
            lines += [f'{"":12}{entry}' for entry in group.first]
            if group.more:
                lines.append(f'{"":12}…')
    return '\n'.join(lines)


def draw_sheet(paths: built_dataset.DatasetPaths, path: Path) -> None:
    """Draws a picture of the world: clips with who does what in them, and people with names.

    Args:
        paths: A built data set.
        path: The JPEG or PNG file to write.
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    from cpad_jax.data import readers
    from cpad_jax.media import images, lettering

    clips = readers.ClipReader(paths.clips, 'test')
    photos = readers.IdentityReader(paths.identities, 'references')
    width = _GAP + _COLUMNS * (_FRAME[0] + _GAP)
    photo = (width - _GAP) // _PEOPLE - _GAP
    cell = _FRAME[1] + _LINES * _LINE + 4
    sheet = Image.new(
        'RGB', (width, _GAP + _ROWS * (cell + _GAP) + photo + _LINE + 2 * _GAP), _PAPER
    )
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(14), ImageFont.load_default(12)

    def line(x: int, y: int, text: str, limit: int, font: ImageFont.ImageFont, ink) -> None:
        pen.text((x, y), lettering.fitted(text, font, limit), font=font, fill=ink)

    for cell_number, number in enumerate(_varied(clips, _COLUMNS * _ROWS)):
        clip = clips[number]
        row, column = divmod(cell_number, _COLUMNS)
        x, y = _GAP + column * (_FRAME[0] + _GAP), _GAP + row * (cell + _GAP)
        frame = Image.fromarray(images.decode_jpeg(clip['frames'][len(clip['frames']) // 2]))
        sheet.paste(frame.resize(_FRAME, Image.Resampling.LANCZOS), (x, y))
        y += _FRAME[1] + 2
        for person in clip['people'][: _LINES - 1]:
            does = ', '.join(clips.actions[action] for action in person['actions'])
            text = person['name'] + (f': {does}' if does else '')
            line(x, y, text, _FRAME[0], large, _INK)
            y += _LINE
        line(x, y, f'{clips.places[clip["place"]]}, {clip["title"]}', _FRAME[0], small, _FAINT)
    y = _GAP + _ROWS * (cell + _GAP)
    people = collections.OrderedDict()
    for number in np.random.default_rng(0).permutation(len(photos)):
        if len(people) == _PEOPLE:
            break
        record = photos[int(number)]
        people.setdefault(record['identity'], record)
    for column, record in enumerate(people.values()):
        x = _GAP + column * (photo + _GAP)
        picture = Image.fromarray(images.decode_jpeg(record['image']))
        sheet.paste(picture.resize((photo, photo), Image.Resampling.LANCZOS), (x, y))
        line(x, y + photo + 3, record['name'], photo, large, _INK)
    with atomic.writing(path) as temporary:
        sheet.save(temporary, quality=88)


def _varied(clips, count: int) -> list[int]:
    """Numbers of clips that between them show as many actions and places as they can."""
    import numpy as np

    order = np.random.default_rng(0).permutation(len(clips))[: 20 * count]
    facts = {}
    for number in order:
        clip = clips[int(number)]
        facts[int(number)] = [('place', clip['place']), ('title', clip['title'])] + [
            ('action', action) for action in clip['actions']
        ]
    seen: collections.Counter = collections.Counter()
    chosen = []
    for _ in range(min(count, len(facts))):
        # Actions that were drawn least come first; clips without any come last.
        best = max(facts, key=lambda n: sum(1 / (1 + seen[fact] ** 2) for fact in facts[n]))
        seen.update(facts.pop(best))
        chosen.append(best)
    return chosen


def world_options() -> dict[str, str]:
    """What each field of `WorldSpec` means, as its docstring says."""
    _, _, attributes = inspect.getdoc(WorldSpec).partition('Attributes:\n')
    found = re.findall(r'^ {4}(\w+): (.+(?:\n {8}.+)*)', attributes, re.MULTILINE)
    return {name: ' '.join(text.split()).rstrip('.') for name, text in found}


def _as_written(value: object) -> str:
    return ','.join(map(str, value)) if isinstance(value, tuple) else repr(value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and builds."""
    runtime.silence_logs()
    parser = errors.CommandParser(__doc__)
    parser.add_argument('name', choices=build.NAMES, help='the data set')
    parser.add_argument(
        '--data_dir', required=True, type=errors.given_path, help='folder of data sets'
    )
    parser.add_argument(
        '--manual_dir', type=errors.given_path, help='your files, of all but synthetic_cast'
    )
    parser.add_argument('--part', help='only this part of it, e.g. actions (default: all)')
    parser.add_argument(
        '--annotations',
        type=errors.given_path,
        help='who is in which clip (default: MANUAL_DIR/annotations.jsonl, where it is there)',
    )
    parser.add_argument(
        '--splits',
        type=errors.given_path,
        help='JSON with the split of each title (default: MANUAL_DIR/splits.json, or a draw)',
    )
    parser.add_argument(
        '--beam_options',
        default='',
        help='build with Apache Beam, e.g. runner=DirectRunner,direct_num_workers=8',
    )
    parser.add_argument(
        '--sheet', type=errors.given_path, help='also draw a picture of it (.jpg or .png)'
    )
    parser.add_argument(
        '--processes', type=int, help='of all with clips: how many, from 1 (default: one per core)'
    )
    world = parser.add_argument_group('the world')
    means = world_options()
    fields = {
        synthetic_cast.CONFIG_KEYS.get(f.name, f.name): f for f in dataclasses.fields(WorldSpec)
    }
    for option, field in fields.items():
        world.add_argument(
            f'--{option}',
            type=errors.numbers if isinstance(field.default, tuple) else type(field.default),
            help=f'{means[field.name]} (default: {_as_written(field.default)})',
        )
    options = parser.parse_args(arguments)
    errors.require_training()
    if options.processes is not None and options.processes < 1:
        raise errors.UserError(f'--processes is {options.processes}, expected 1 or more')
    with errors.naming(options.data_dir):
        _build(options, fields)


def _build(options: argparse.Namespace, fields: Collection[str]) -> None:
    described = {o: value for o in fields if (value := getattr(options, o)) is not None}
    if options.name != synthetic_cast.SYNTHETIC_CAST:
        _build_manual(options, described)
        return
    others = ('manual_dir', 'beam_options', 'part', 'annotations', 'splits')
    if given := [f'--{option}' for option in others if getattr(options, option)]:
        raise errors.UserError(f'{options.name} is drawn: leave {" and ".join(given)} out')
    if options.sheet and options.sheet.suffix.lower() not in ('.jpg', '.jpeg', '.png'):
        raise errors.UserError(f'--sheet {options.sheet}: expected a .jpg or .png file')
    spec = synthetic_cast.world_spec(described)
    before = build.finished(options.name, options.data_dir)
    paths = synthetic_cast.ensure_synthetic_cast(options.data_dir, spec, options.processes)
    _tell_before(before)
    say(summary(paths))
    if options.sheet:
        draw_sheet(paths, options.sheet)
        say(f'picture: {options.sheet}')


def _build_manual(options: argparse.Namespace, described: Collection[str]) -> None:
    drawn = ['sheet'] * bool(options.sheet) + [*described]
    if drawn:
        raise errors.UserError(
            f'--{drawn[0]} is for {synthetic_cast.SYNTHETIC_CAST} only: leave it out for '
            f'{options.name}, which is made from your files'
        )
    module = built_dataset.builder_module(options.name)
    if options.manual_dir is None:
        instructions = module.Builder.MANUAL_DOWNLOAD_INSTRUCTIONS
        raise errors.UserError(f'{options.name} needs --manual_dir. {instructions}')
    if options.splits and options.name != build.CELEBRITIES_IN_ACTION:
        raise errors.UserError(f'--splits is for {build.CELEBRITIES_IN_ACTION} only')
    if options.annotations and options.name == build.THIS_IS_MY:
        raise errors.UserError(f'--annotations: {options.name} says itself what its clips show')
    clips = build.MANUAL[options.name].parts != ('identities',)
    if (options.annotations or options.processes) and not clips:
        raise errors.UserError(f'--annotations and --processes: {options.name} has no clips')
    known = build.MANUAL[options.name].parts
    if options.part is not None and options.part not in known:
        raise errors.UserError(f'--part {options.part}: {options.name} has {", ".join(known)}')
    before = build.finished(options.name, options.data_dir)
    paths = build.prepare(
        options.name, options.data_dir, options.manual_dir, options.beam_options,
        parts=None if options.part is None else (options.part,),
        annotations=options.annotations, splits=options.splits, processes=options.processes,
    )  # fmt: skip
    _tell_before([folder for folder in before if folder in paths.parts.values()])
    say(manual_summary(paths))


def _tell_before(folders: Sequence[Path]) -> None:
    for folder in folders:
        say(f'already built in {folder}: left as it is')
