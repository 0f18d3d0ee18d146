"""The pictures or videos of a folder, and what else is there and why it is passed over."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cpad_jax.media import file_kinds

# Folders of thumbnails, bins and repaired remains, which systems make beside one's own.
_SYSTEM = {
    '@eadir', '#recycle', '#snapshot', '$recycle.bin', 'recycler', 'system volume information',
    'lost+found', '__macosx',
}  # fmt: skip
_MOST_REASONS = 8


@dataclass(frozen=True)
class Listing:
    """What is in a folder.

    Attributes:
        files: Of the kind that was looked for, sorted.
        passed_over: Why others are not among them → these, sorted.
    """

    files: tuple[Path, ...]
    passed_over: Mapping[str, tuple[Path, ...]]

    def summary(self, folder: Path, but: Sequence[str] = ()) -> str:
        """What was passed over, in a line.

        Args:
            folder: What was listed.
            but: Endings, in lower case, of files that have another use and are not counted.

        Returns:
            The most frequent reason first; '' if nothing was passed over.
        """
        counted = {
            why: [file for file in files if file.suffix.lower() not in but]
            for why, files in self.passed_over.items()
        }
        reasons = sorted(
            ((why, files) for why, files in counted.items() if files),
            key=lambda item: (-len(item[1]), item[0]),
        )
        if not reasons:
            return ''
        parts = [
            f'{len(files)} {why} (such as {files[0].relative_to(folder)})'
            for why, files in reasons[:_MOST_REASONS]
        ]
        if rest := sum(len(files) for _, files in reasons[_MOST_REASONS:]):
            parts.append(f'{rest} for other reasons')
        count = sum(len(files) for _, files in reasons)
        return f'passed over {count} file{"s" * (count != 1)} of {folder}: {", ".join(parts)}'


def list_files(folder: str | os.PathLike[str], kind: str, deep: bool = True) -> Listing:
    """Lists the files of a folder that are of a kind by what they hold, whatever their ending.

    Args:
        folder: It and, if `deep`, all folders in it are searched, those behind links not.
        kind: `file_kinds.PICTURE` or `VIDEO`.
        deep: False for the files of the folder alone.

    Returns:
        The files. Hidden ones, and those of folders that are hidden or that a system keeps for
        itself, are passed over.
    """
    files: list[Path] = []
    passed_over: dict[str, list[Path]] = collections.defaultdict(list)
    for path, why in _walk(Path(folder), deep):
        if not why and not (why := _why_not(path, kind)):
            files.append(path)
        else:
            passed_over[why].append(path)
    return Listing(
        tuple(sorted(files)), {why: tuple(sorted(paths)) for why, paths in passed_over.items()}
    )


def _walk(folder: Path, deep: bool, why: str = '') -> Iterator[tuple[Path, str]]:
    """Every file with why it is passed over, as far as its folder tells."""
    try:
        with os.scandir(folder) as entries:
            inside = list(entries)
    except OSError as error:
        yield folder, f'not opened ({error.strerror})'
        return
    for entry in inside:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if deep:
                yield from _walk(path, deep, why or _why_skipped(entry.name))
        elif entry.is_dir() and not deep:
            continue
        else:
            yield path, why


def _why_skipped(name: str) -> str:
    """Why a folder of such a name is not searched; '' if it is."""
    return f'in {name}' if name.startswith('.') or name.lower() in _SYSTEM else ''


def _why_not(path: Path, kind: str) -> str:
    """Why a file is not taken for one of the kind; '' if it is."""
    if path.name.startswith('._'):
        return "of macOS beside another ('._')"
    if path.name.startswith('.'):
        return 'hidden'
    if path.is_dir():
        return 'links to folders'
    if not path.exists():
        return 'links that lead nowhere'
    if not path.is_file():
        return 'devices or pipes'
    held = file_kinds.kind(path)
    if held == kind:
        return ''
    if held != file_kinds.OTHER:
        return f'{held}s'
    return f'of ending {path.suffix}' if path.suffix else 'without an ending'
