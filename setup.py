"""Installs the package `cpad_jax`.

Configurations and builders of data sets lie beside the package, in `configs` and `datasets`. In the
wheel they are in it, where `cpad_jax.companions` finds them.
"""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithCompanions(build_py):
    """Puts `configs` and `datasets` into the wheel's `cpad_jax`; an editable one stays as it is."""

    def run(self):
        """Builds the package, then copies the folders."""
        super().run()
        if self.editable_mode:
            return
        ignore = shutil.ignore_patterns('*_test.py', '__pycache__', '.*')
        for name in ('configs', 'datasets'):
            target = Path(self.build_lib) / 'cpad_jax' / name
            shutil.copytree(ROOT / name, target, ignore=ignore, dirs_exist_ok=True)


setup(
    name='cpad_jax',
    version='0.1.0',
    description='Find moments of video by who, what and where: CLIP-PAD in JAX and Flax',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8')
    if (ROOT / 'README.md').exists()
    else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.11',
    # Named, because a bare find_packages() would install `datasets`, `configs` and `tools` as
    # global packages and hide the Hugging Face package called `datasets`.
    packages=find_packages(include=['cpad_jax', 'cpad_jax.*']),
    package_data={
        'cpad_jax': ['py.typed'],
        'cpad_jax.models': ['shipped/*/*'],
        'cpad_jax.models.weights': ['*.json'],
    },
    cmdclass={'build_py': BuildWithCompanions},
    entry_points={
        'console_scripts': [
            'cpad-build-dataset = cpad_jax.commands.scripts:build_dataset',
            'cpad-convert = cpad_jax.commands.scripts:convert',
            'cpad-eval = cpad_jax.commands.scripts:evaluate',
            'cpad-find = cpad_jax.commands.scripts:find',
            'cpad-label = cpad_jax.commands.scripts:label',
            'cpad-train = cpad_jax.commands.scripts:train',
        ]
    },
    # Enough to embed, to search, to label and to convert.
    install_requires=[
        'av>=17.1',
        'flax>=0.12',
        'ftfy>=6.3',
        'huggingface_hub>=0.24',
        'instant-clip-tokenizer>=0.1.1',
        'jax>=0.10',
        'ml_dtypes>=0.5',
        'numpy>=2.1',
        # The headless wheel has the same Python bindings and imports on machines without a screen.
        'opencv-python-headless>=5.0',
        'optax>=0.2.7',
        'pillow>=11.0',
        'tokenizers>=0.21',
        'tqdm>=4.66',
    ],
    extras_require={
        # Training, evaluation and data sets; `cpad_jax.extras` names it where it is missing.
        'train': [
            'array_record>=0.8; sys_platform == "linux"',
            'clu>=0.0.12',
            'etils[epath]>=1.9',
            'grain>=0.2.12',
            'importlib_resources>=6.4',
            'ml_collections>=1.0',
            'orbax-checkpoint>=0.11',
            'tensorboard>=2.18',
            # TensorFlow writes TFDS data and backs CLU's writers; nothing else here needs it.
            'tensorflow-cpu>=2.18; sys_platform == "linux" and platform_machine == "x86_64"',
            'tensorflow>=2.18; sys_platform != "linux" or platform_machine != "x86_64"',
            'tensorflow-datasets>=4.9.8',
        ],
        'test': [
            'dill',
            'hypothesis',
            'pytest>=8',
            'pytest-xdist>=3.5',
            'pytrec-eval-terrier>=0.5.6',
            'ranx>=0.3.20',
            'safetensors>=0.5',
            'setuptools>=70.1',  # Builds a wheel without the package `wheel`.
        ],
        # Each minor version of ruff formats a little differently, and CI checks the format.
        'dev': ['basedpyright>=1.40', 'matplotlib>=3.11', 'ruff>=0.17,<0.18'],
        # Reads the photos that iPhones take.
        'heic': ['pillow-heif>=1.0'],
        # Builds data sets on a cluster.
        'beam': ['apache-beam>=2.60'],
        'cuda': ['jax[cuda12]>=0.10'],
        'tpu': ['jax[tpu]>=0.10'],
    },
)
