"""The tokenizer of a text tower."""

from __future__ import annotations

from pathlib import Path

from cpad_jax.models.config import CLIPConfig
from cpad_jax.text.file_tokenizer import FileTokenizer
from cpad_jax.text.tokenizer import ClipTokenizer, Tokenizer

TOKENIZER_FILE = 'tokenizer.json'


def open_tokenizer(config: CLIPConfig, directory: Path | None) -> Tokenizer:
    """The tokenizer that a text tower was trained with.

    Raises:
        UserError: Its file is missing or broken.
        ValueError: The configuration does not fit CLIP's own, or there is no folder to find one in.
    """
    text = config.text
    if text.tokenizer == 'clip':
        clip_vocabulary = ClipTokenizer.person_id
        if text.vocab_size != clip_vocabulary:
            raise ValueError(
                f"text.vocab_size is {text.vocab_size}, expected {clip_vocabulary}, that of CLIP's "
                'tokenizer'
            )
        return ClipTokenizer(text.context_length, can_cut=text.causal)
    if directory is None:
        raise ValueError(f'{config.name} needs a tokenizer: give one')
    return FileTokenizer(
        directory / TOKENIZER_FILE,
        context_length=text.context_length,
        vocab_size=text.vocab_size,
        pad_id=text.pad_token,
        clean=text.clean,
        strip_separator=text.strip_separator,
        can_cut=text.causal,
    )
