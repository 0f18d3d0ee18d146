"""Labels the people of a movie or show: the console script `cpad-label`, to be run from a clone."""

import sys
from pathlib import Path

# The package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpad_jax.commands import scripts

if __name__ == '__main__':
    scripts.label()
