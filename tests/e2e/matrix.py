#!/usr/bin/python3
"""The table of docs/reference/methods.md: what each documented return code of a method was made by.

    matrix.py FOLDER [--write]      compare what the tests recorded in FOLDER with the kept table, or replace it

A row's numbers come from recorder.py; its situation and test are named by the test that made the fault. A test file
that has rows of its own takes the fixture `cell` (conftest.py) and the marker `matrix`; what it makes is then deleted
from NOT_MADE. Every documented code is made, or says here why not: a code without either, or with both, is an error.
"""
import json
import sys
from pathlib import Path

KEPT = Path(__file__).resolve().parents[2] / "docs/reference/methods.md"
CODES = {0: "completed", 4096: "job started", 32768: "failed", 32769: "access denied", 32770: "not supported",
         32771: "status unknown", 32772: "timeout", 32773: "invalid parameter", 32774: "in use", 32775: "invalid state",
         32776: "wrong type", 32777: "not available", 32778: "out of memory", 32779: "not found"}
JOB_STATES = {7: "completed", 8: "terminated", 10: "exception"}

# What is documented: the return values, and how a job may end (JobState, ErrorCode).
RETURN_VALUES = {
    "InitiateFailover": sorted(CODES),
    "RevertFailover": sorted(CODES),
    "SetFailoverNetworkAdapterSettings": [code for code in sorted(CODES) if code != 32779],
}
JOB_ENDS = {
    "InitiateFailover": [(7, 0), (8, 32768), (10, 32768), (10, 32773), (10, 32777), (10, 32778), (10, 32779)],
    "RevertFailover": [(7, 0), (8, 32768), (10, 32768), (10, 32778)],
}

AT_ONCE = "never at once: what it does takes a job"
NO_TEXT = "it has no parameter that carries an embedded instance"
TEST_REPLICA = "needs a test replica; TestReplicaSystem is not there yet"
NOT_MADE = {
    ("InitiateFailover", 0): AT_ONCE,
    ("InitiateFailover", 32776): NO_TEXT,
    ("InitiateFailover", 32778): "space is needed by the job only, which says so",
    ("InitiateFailover", (10, 32773)): "a point that goes between the call and its job: not made from outside; "
                                       "core_test Failover.OfAPointThatIsDelistedMeanwhile",
    ("RevertFailover", 0): AT_ONCE,
    ("RevertFailover", 32776): NO_TEXT,
    ("RevertFailover", 32778): "space is needed by the job only, which says so",
    ("RevertFailover", (8, 32768)): "a revert cannot be cancelled",
    ("SetFailoverNetworkAdapterSettings", 4096): "it is done at once: there is no job",
    ("SetFailoverNetworkAdapterSettings", 32771): "it does not look at what the replica holds",
    ("SetFailoverNetworkAdapterSettings", 32778): "it takes no space but a row of the state database",
}
# Situations of the specification that no code stands for.
OPEN = [("InitiateFailover", "while a test replica exists", TEST_REPLICA),
        ("RevertFailover", "while a test replica exists", TEST_REPLICA)]

HEAD = """# What the methods answer

Made by `./test matrix` from what passed between a client and the daemon; `./test matrix --write` replaces it. ReturnValue is
the method's answer, JobState and ErrorCode are those of its job when it had ended. A documented code that is not made
says why. Texts and next steps are in docs/spec/cim-profile.md and in the messages themselves.

| method | ReturnValue | JobState | ErrorCode | situation | test |
|---|---|---|---|---|---|
"""


def named(number, names):
    return "" if number is None else f"{number} {names[number]}" if number in names else str(number)


def line(row):
    error = "" if row["error_code"] is None else str(row["error_code"])
    return (f"| {row['method']} | {named(row['return_value'], CODES)} | {named(row['job_state'], JOB_STATES)} | {error} | "
            f"{row['situation']} | {row['test']} |")


def key(row):
    absent = lambda number: -1 if number is None else number
    return (row["method"], absent(row["return_value"]), absent(row["job_state"]), absent(row["error_code"]), row["situation"])


def empty_rows(rows):
    """The documented codes that no test makes, with their reasons."""
    made = {(r["method"], r["return_value"]) for r in rows}
    made |= {(r["method"], (r["job_state"], r["error_code"])) for r in rows if r["job_state"] is not None}
    documented = [(m, code) for m, codes in RETURN_VALUES.items() for code in codes]
    documented += [(m, end) for m, ends in JOB_ENDS.items() for end in ends]
    for cell in documented:
        if (cell in made) == (cell in NOT_MADE):
            raise SystemExit(f"{cell}: " + ("is made now, and NOT_MADE says why not" if cell in made else "is not made, and has no reason"))
    unknown = [cell for cell in made if cell not in documented]
    if unknown:
        raise SystemExit(f"not documented: {unknown}")
    for (method, code), why in NOT_MADE.items():
        job = isinstance(code, tuple)
        yield {"method": method, "return_value": 4096 if job else code, "job_state": code[0] if job else None,
               "error_code": code[1] if job else None, "situation": f"*not made: {why}*", "test": ""}
    for method, situation, why in OPEN:
        yield {"method": method, "return_value": None, "job_state": None, "error_code": None,
               "situation": f"{situation}: *not made: {why}*", "test": ""}


def table(rows):
    return HEAD + "".join(line(row) + "\n" for row in sorted([*rows, *empty_rows(rows)], key=key))


def kept_lines(test):
    """The rows of one test in the kept table."""
    return sorted(l for l in KEPT.read_text().splitlines() if l.endswith(f"| {test} |"))


def main(folder, *options):
    rows = [json.loads(l) for f in sorted(Path(folder).glob("*.jsonl")) for l in f.read_text().splitlines()]
    text = table(rows)
    if "--write" in options:
        KEPT.write_text(text)
    kept = KEPT.read_text() if KEPT.exists() else ""
    for only, sign in ((set(kept.splitlines()) - set(text.splitlines()), "-"), (set(text.splitlines()) - set(kept.splitlines()), "+")):
        for row in sorted(only):
            print(sign, row)
    print(f"{len(rows)} rows made by tests, {text.count('not made')} with a reason: {KEPT.relative_to(KEPT.parents[2])}")
    return 0 if text == kept else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
