"""taskwheel and its peers on this machine, in one run: a table with ratios.

python -m benchmarks.peers [--quick] [--only WORD] [--scenario WORD] [--repetitions N]
"""

from __future__ import annotations

import argparse
import signal
import sys

from benchmarks.peers.scenarios import SCENARIOS, Bench, Readings
from benchmarks.peers.systems import OURS, PEERS
from benchmarks.peers.table import merged, table
from benchmarks.peers.toolchains import BUILD, Missing

REPETITIONS = 3
QUICK = 0.05


def main() -> int:
    """Measure and print; return 1 if taskwheel could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Measure taskwheel and its peers.")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the work, once: does all of it work?")
    parser.add_argument("--only", default="", metavar="WORD", help="only the systems whose name holds WORD")
    parser.add_argument("--scenario", default="", metavar="WORD", help="only the scenarios whose name holds WORD")
    parser.add_argument("--repetitions", type=int, metavar="N", help="of each measurement")
    arguments = parser.parse_args()
    systems = [system for system in (*OURS, *PEERS) if arguments.only.lower() in system.name.lower()]
    # So that whoever ends this program ends the services with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    BUILD.mkdir(exist_ok=True)
    log = BUILD / "log"
    log.write_bytes(b"")
    readings: dict[str, list[Readings]] = {system.name: [] for system in systems}
    faults: dict[str, str] = {}
    scale = QUICK if arguments.quick else 1.0
    # By turns: the machine is noisy, and what disturbs one repetition disturbs all systems.
    for _ in range(arguments.repetitions or (1 if arguments.quick else REPETITIONS)):
        for system in systems:
            if system.name not in faults:
                readings[system.name].append(_measure(Bench(system, log, scale), arguments.scenario, faults))
    rows = {name: merged(measured) for name, measured in readings.items()}
    print(table(rows, next((ours.name for ours in reversed(OURS) if rows.get(ours.name)), "")))
    for name, fault in faults.items():
        print(f"\n{name}: {fault}")
    return int(any(name.startswith("taskwheel") for name in faults))


def _measure(bench: Bench, only: str, faults: dict[str, str]) -> Readings:
    """Put a system through the scenarios; say in `faults` what could not be measured, and why."""
    readings: Readings = {}
    for scenario in SCENARIOS:
        name = scenario.__name__
        if only in name and name not in bench.system.skips:
            try:
                measured = scenario(bench)
                told = ", ".join(f"{figure} {reading.value or reading.remark}" for figure, reading in measured.items())
                print(f"{bench.system.name}: {told}", file=sys.stderr, flush=True)
                readings |= measured
            except Missing as missing:
                faults[bench.system.name] = str(missing)
                break
            except (RuntimeError, OSError) as error:
                faults[f"{bench.system.name}, {name}"] = str(error)
    return readings


if __name__ == "__main__":
    sys.exit(main())
