#!/usr/bin/python3
"""Runs every fuzzer, two at a time: `run.py SECONDS [NAME...]`. Each starts from its corpus and from what earlier runs
have found (build/fuzz/corpus). One line a fuzzer, with the processor time that it had; exit status 1 after a crash, with
the command that repeats it."""
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
    log = BUILD / f"{name}.log"
    with log.open("w") as out:
        fuzzer = subprocess.Popen([*command, found, HERE / "corpus" / name], stderr=out, preexec_fn=lambda: os.nice(10))
        _, status, used = os.wait4(fuzzer.pid, 0)  # for the processor time of this one
    fuzzer.returncode = os.waitstatus_to_exitcode(status)
    said = log.read_text(errors="replace")
    crashed = int(fuzzer.returncode != 0)
    figures = [last(what, said) for what in ("executed_units", "cov", "new_units_added")]
    minutes = (used.ru_utime + used.ru_stime) / 60
    print("{:14} {:>8.1f} {:>11} {:>7} {:>6} {:>7}".format(name, minutes, *figures, crashed), flush=True)
    inputs = re.findall(r"Test unit written to (\S+)", said)
    if not crashed:
        return []
    return [" ".join([str(program), *BOUNDS, one]) for one in inputs] or [f"see {log}"]


def main():
    seconds = int(sys.argv[1])
    os.chdir(HERE.parent.parent)
    names = sys.argv[2:] or sorted(p.name.removesuffix("_fuzz.cc") for p in HERE.glob("*_fuzz.cc"))
    print(f"{'fuzzer':14} {'CPU min':>8} {'executions':>11} {'edges':>7} {'new':>6} {'crashes':>7}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        repeats = [line for lines in pool.map(lambda name: run(name, seconds), names) for line in lines]
    for line in repeats:
        print("repeat:", line)
    return 1 if repeats else 0


if __name__ == "__main__":
    sys.exit(main())
