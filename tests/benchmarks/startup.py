"""
How soon the command line answers: whole processes, median of ten.

    python tests/benchmarks/startup.py
"""

import sys
from pathlib import Path
from statistics import median

from measure import STEMSPLIT, machine, run

PROGRAM = Path(sys.executable).with_name("stemsplit")  # the installed script, as a user starts it
COMMANDS = {
    "stemsplit --help": [str(PROGRAM), "--help"],
    "stemsplit separate --help": [str(PROGRAM), "separate", "--help"],
    "python -m stemsplit --help": [*STEMSPLIT, "--help"],
    "stemsplit models": [str(PROGRAM), "models"],
    "python -c 'import stemsplit'": [sys.executable, "-c", "import stemsplit"],
}
ROUNDS = 10


def main() -> None:
    """Print a line per command."""
    print(machine())
    for name, command in COMMANDS.items():
        print(f"{name}: {median(run(command).seconds for _ in range(ROUNDS)):.2f} s")


if __name__ == "__main__":
    main()
