"""Installs the package `cpad_jax`; the folders beside it are used from a clone."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name='cpad_jax',
    version='0.1.0',
    description='Find moments of video by who, what and where: CLIP-PAD in JAX and Flax',
    long_description=Path(__file__).with_name('README.md').read_text(encoding='utf-8')
    if Path(__file__).with_name('README.md').exists()
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
    install_requires=[
        'absl-py>=2.1',
        'array_record>=0.8; sys_platform == "linux"',
        'av>=17.1',
        'clu>=0.0.12',
        'etils[epath]>=1.9',
        'flax>=0.12',
        'ftfy>=6.3',
        'grain>=0.2.12',
        'importlib_resources>=6.4',
        'huggingface_hub>=0.24',
        'instant-clip-tokenizer>=0.1.1',
        'jax>=0.10',
        'ml_collections>=1.0',
        'numpy>=2.1',
        # The headless wheel has the same Python bindings and imports on machines without a screen.
        'opencv-python-headless>=5.0',
        'optax>=0.2.7',
        'orbax-checkpoint>=0.11',
        'pillow>=11.0',
        'safetensors>=0.5',
        'tensorboard>=2.18',
        # TensorFlow writes TFDS data and backs CLU's writers; nothing else here needs it.
        'tensorflow-cpu>=2.18; sys_platform == "linux" and platform_machine == "x86_64"',
        'tensorflow>=2.18; sys_platform != "linux" or platform_machine != "x86_64"',
        'tensorflow-datasets>=4.9.8',
        'tokenizers>=0.21',
        'tqdm>=4.66',
    ],
    extras_require={
        'test': [
            'dill',
            'hypothesis',
            'pytest>=8',
            'pytest-xdist>=3.5',
            'pytrec-eval-terrier>=0.5.6',
            'ranx>=0.3.20',
        ],
        # Each minor version of ruff formats a little differently, and CI checks the format.
        'dev': ['matplotlib>=3.11', 'ruff>=0.17,<0.18'],
        # Reads the photos that iPhones take.
        'heic': ['pillow-heif>=1.0'],
        # Builds data sets on a cluster.
        'beam': ['apache-beam>=2.60'],
        'cuda': ['jax[cuda12]>=0.10'],
        'tpu': ['jax[tpu]>=0.10'],
    },
)
