#!/usr/bin/python3
"""Runs every fuzzer, two at a time: `run.py SECONDS [NAME...]`. Each starts from its corpus and from what earlier runs
have found (build/fuzz/corpus). One line a fuzzer; exit status 1 after a crash, with the command that repeats it."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path("build/fuzz")
AT_ONCE = 2
# An input that takes longer, or needs more memory, is a finding: nothing of ours is that large.
BOUNDS = ["-timeout=20", "-rss_limit_mb=2048", "-malloc_limit_mb=512"]


def last(name, text):
    found = re.findall(name + r": *(\d+)", text)
    return int(found[-1]) if found else 0


def run(name, seconds):
    found, crashes = BUILD / "corpus" / name, BUILD / "crashes"
    found.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(exist_ok=True)
    program = BUILD / "bin" / f"fuzz_{name}"
    command = [program, f"-max_total_time={seconds}", "-print_final_stats=1", f"-artifact_prefix={crashes}/{name}-", *BOUNDS]
    words = HERE / "dictionaries" / f"{name}.dict"
    if words.exists():
        command.append(f"-dict={words}")
    ran = subprocess.run([*command, found, HERE / "corpus" / name], stderr=subprocess.PIPE, text=True, errors="replace",
                         preexec_fn=lambda: os.nice(10))
    (BUILD / f"{name}.log").write_text(ran.stderr)
    crashed = int(ran.returncode != 0)
    figures = [last(what, ran.stderr) for what in ("executed_units", "exec_per_sec", "cov", "new_units_added")]
    print("{:14} {:>11} {:>8} {:>7} {:>6} {:>7}".format(name, *figures, crashed), flush=True)
    inputs = re.findall(r"Test unit written to (\S+)", ran.stderr)
    if not crashed:
        return []
    return [" ".join([str(program), *BOUNDS, one]) for one in inputs] or [f"see {BUILD / name}.log"]


def main():
    seconds = int(sys.argv[1])
    os.chdir(HERE.parent.parent)
    names = sys.argv[2:] or sorted(p.name.removesuffix("_fuzz.cc") for p in HERE.glob("*_fuzz.cc"))
    print(f"{'fuzzer':14} {'executions':>11} {'per s':>8} {'edges':>7} {'new':>6} {'crashes':>7}")
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        repeats = [line for lines in pool.map(lambda name: run(name, seconds), names) for line in lines]
    for line in repeats:
        print("repeat:", line)
    return 1 if repeats else 0


if __name__ == "__main__":
    sys.exit(main())
