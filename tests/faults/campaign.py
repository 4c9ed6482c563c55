"""Plays the parts, prints a table, and exits 1 when something was found."""

import argparse
import importlib
import os
import pathlib
import secrets
import shutil
import sys
import tempfile
import time
import traceback

from play import Play, Skipped

# Name, module below parts/, and what is played.
PARTS = [
    ("state-folder", "state_folder", "the state folder is full, read-only, gone, and comes back"),
    ("kill", "kill", "kill -9 in the middle of outages, reloads and writes of the state"),
    ("clock", "clock", "the clock is set, the process is suspended, the monotonic clock leaps"),
    ("exhaustion", "exhaustion", "descriptors, threads and memory run out and come back"),
    ("neighbour", "neighbour", "one core, shared with busy neighbours at nice -10"),
    ("loss", "loss", "packets are lost, late and out of order"),
    ("resolvers", "resolvers", "name servers that are silent, lie, answer late or with another id"),
    ("clients", "clients", "10,000 idle and 1,000 slow clients while it is scraped"),
    ("soak", "soak", "1,000 targets of all probers and outcomes at one second"),
]


def main():
    arguments = parse()
    if arguments.list:
        for name, _, what in PARTS:
            print(f"{name:14} {what}")
        return 0
    chosen = [part for part in PARTS if not arguments.only or part[0] in arguments.only]
    seed = arguments.seed if arguments.seed is not None else secrets.randbits(32)
    # Short, as it is the folder of Unix sockets.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="faults."))
    print(f"exporter {os.environ['UPTIME_EXPORTER']}, seed {seed} (--seed={seed} plays the same again)", flush=True)
    plays = []
    try:
        for name, module, what in chosen:
            print(f"\n== {name}: {what}", flush=True)
            plays.append(play(name, module, folder / name, seed, arguments))
    finally:
        if arguments.keep:
            print(f"\nLogs and files are in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return summary(plays)


def play(name, module, folder, seed, arguments):
    part = Play(name, folder, seed, arguments.quick, arguments.minutes)
    folder.mkdir()
    began = time.monotonic()
    try:
        importlib.import_module(f"parts.{module}").play(part)
    except Skipped as reason:
        part.skip("all of it", str(reason))
    except Exception as error:  # What cannot be played to the end is a finding like another.
        traceback.print_exc()
        part.check("it could be played to its end", False, error)
    part.seconds = time.monotonic() - began
    return part


def summary(plays):
    print("\n== What was found\n")
    rows = [("part", "holds", "findings", "skipped", "seconds")]
    for part in plays:
        holds = sum(line[0] == "ok" for line in part.lines)
        rows.append((part.name, str(holds), str(len(part.findings)), str(len(part.skipped)), f"{part.seconds:.0f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    for part in plays:
        for kind, what, seen in part.lines:
            if kind != "ok":
                print(f"{kind}: {part.name}: {what}: {seen}")
    return 1 if any(part.findings for part in plays) else 0


def parse():
    parser = argparse.ArgumentParser(prog="tests/faults/run", description="Faults, played for real.")
    parser.add_argument("--list", action="store_true", help="name the parts")
    parser.add_argument("--only", action="append", metavar="NAME", choices=[name for name, *_ in PARTS],
                        help="play this part; may be given several times")
    parser.add_argument("--quick", action="store_true", help="less of each, for CI")
    parser.add_argument("--minutes", type=float, default=60, help="of the soak (default: 60)")
    parser.add_argument("--seed", type=int, help="of everything that is random (default: a new one)")
    parser.add_argument("--keep", action="store_true", help="keep logs and files")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
