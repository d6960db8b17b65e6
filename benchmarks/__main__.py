"""Run the named benchmarks (none: all), one line of figures each: `make bench`, `python -m benchmarks images`."""

import json
import os
import platform
import subprocess
import sys

NAMES = ("captions", "images", "encoder", "loader", "orchestration")


def main(names: list[str]) -> int:
    """Returns the exit code: 2 for a name that there is not, else the highest of the benchmarks' own."""
    if {"-h", "--help"} & set(names):
        print(f"usage: python -m benchmarks [{' | '.join(NAMES)}] ...\n\n{__doc__}")
        return 0
    wrong = [name for name in names if name not in NAMES]
    if wrong:
        print(f"no benchmark {wrong[0]!r}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    machine = {
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    print(json.dumps(machine), flush=True)
    # A process each: two engines in one fight over memory and threads.
    return max(
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode for name in names or NAMES
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
