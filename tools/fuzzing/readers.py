"""All readers of the project, by name."""

from __future__ import annotations

from tools.fuzzing import data_readers, label_readers, media_readers, weight_readers

READERS = {
    reader.name: reader
    for module in (media_readers, label_readers, weight_readers, data_readers)
    for reader in module.READERS
}
