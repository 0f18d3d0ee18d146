"""Damages files by the thousand and reads them with every reader of the project.

Each must be read, or refused with one line of fewer than 400 characters: no crash, no traceback,
no more than 20 seconds and 1 GiB. Files are read in processes of their own. Linux only.

python tools/fuzz.py --count 20000
python tools/fuzz.py --reader pictures --reader video --minutes 10 --seed 7
python tools/fuzz.py --reader pictures --seed 0 --only 1234 --keep damaged
"""

from __future__ import annotations

import collections
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# Run as a script, the package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault('JAX_PLATFORMS', 'cpu')

from cpad_jax import errors

with errors.cli_errors(errors.STARTS_ANEW):
    import multiprocessing

    from tools.fuzzing import readers, worker
    from tools.fuzzing.reader import Reader
    from tools.fuzzing.worker import Outcome, Task


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, damages, reads, and prints what came of it."""
    parser = errors.CommandParser(__doc__)
    parser.add_argument('--seed', type=int, default=0, help='of all that is drawn by lot')
    parser.add_argument('--count', type=int, default=20_000, help='files (default: %(default)s)')
    parser.add_argument('--only', type=int, help='the one file with this number')
    parser.add_argument(
        '--reader', action='append', choices=sorted(readers.READERS), help='one or more; all'
    )
    parser.add_argument('--minutes', type=float, help='end after so many, if that is sooner')
    parser.add_argument('--keep', type=errors.given_path, help='write the files found to here')
    parser.add_argument('--processes', type=int, default=os.cpu_count(), help='that read at once')
    options = parser.parse_args(arguments)
    if options.seed < 0 or options.count < 1 or options.processes < 1:
        raise errors.UserError('--seed, --count or --processes: expected positive numbers')
    chosen = {name: readers.READERS[name] for name in options.reader or readers.READERS}
    if options.only is not None and len(chosen) != 1:
        raise errors.UserError('--only: the file of which reader? give one --reader')
    with tempfile.TemporaryDirectory(prefix='fuzz') as folder:
        if not fuzz(chosen, Path(folder), options):
            sys.exit(1)


def fuzz(chosen: Mapping[str, Reader], folder: Path, options) -> bool:
    """Runs the command; returns whether nothing was found."""
    names = whole_files(chosen, folder)
    began = time.monotonic()
    ends = began + 60 * options.minutes if options.minutes else float('inf')

    def tasks() -> Iterator[Task]:
        if options.only is not None:
            yield Task(next(iter(chosen)), options.seed, options.only)
            return
        for number in range(options.count):
            if time.monotonic() > ends:
                return
            yield Task(list(chosen)[number % len(chosen)], options.seed, number)

    counts: dict[str, collections.Counter] = {name: collections.Counter() for name in chosen}
    pool = worker.Pool(chosen, folder, names, options.processes)
    try:
        for outcome in pool.run(tasks()):
            fine = outcome.kind in (worker.READ, worker.REFUSED)
            counts[outcome.task.reader][outcome.kind if fine else 'found'] += 1
            if not fine:
                tell(outcome)
            if options.keep and (not fine or options.only is not None):
                keep(outcome.task, folder, names, chosen, options.keep)
    finally:
        pool.close()
    return table(counts, options.seed, time.monotonic() - began)


def whole_files(chosen: Mapping[str, Reader], folder: Path) -> dict[str, list[str]]:
    """Makes them, in a process whose threads die with it; the names of those to damage."""
    context = multiprocessing.get_context('fork')
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_make, args=(chosen, folder, theirs))
    process.start()
    theirs.close()
    try:
        names = ours.recv()
    except EOFError:
        names = None
    process.join()
    if names is None:
        raise errors.UserError('the whole files could not be made; see above')
    return names


def _make(chosen: Mapping[str, Reader], folder: Path, pipe) -> None:
    names = {}
    for name, reader in chosen.items():
        (folder / name).mkdir()
        names[name] = list(reader.make(folder / name))
        for file in names[name]:
            # What is not read whole would prove nothing damaged.
            reader.read(folder / name, file)
    pipe.send(names)


def tell(outcome: Outcome) -> None:
    """Prints a finding, and what repeats it."""
    task = outcome.task
    print(
        f'{outcome.kind}: --reader {task.reader} --seed {task.seed} --only {task.number}\n'
        f'    {outcome.detail.strip().replace(chr(10), chr(10) + "    ")}',
        flush=True,
    )


def keep(task: Task, folder: Path, names, chosen, where: Path) -> None:
    """Writes a damaged file."""
    whole = worker.originals(folder / task.reader, names[task.reader])
    name, content = worker.damaged(task, whole, chosen[task.reader].text)
    where.mkdir(parents=True, exist_ok=True)
    file = where / f'{task.reader}-{task.seed}-{task.number}-{Path(name).name}'
    file.write_bytes(content)
    print(f'    kept: {file}')


def table(counts: Mapping[str, collections.Counter], seed: int, seconds: float) -> bool:
    """Prints how many files each reader was given, and what came of them; whether all is well."""
    total = sum(counts.values(), collections.Counter())
    print(f'{"reader":24}{"files":>8}{"read":>8}{"refused":>9}{"findings":>10}')
    for name, count in [*counts.items(), ('all', total)]:
        print(
            f'{name:24}{sum(count.values()):8}{count[worker.READ]:8}{count[worker.REFUSED]:9}'
            f'{count["found"]:10}'
        )
    print(f'seed {seed}, {seconds:.0f} s')
    return not total['found']


if __name__ == '__main__':
    errors.run_command(main, errors.STARTS_ANEW)
