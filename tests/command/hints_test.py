#!/usr/bin/python3
"""Every command that a message of the product tells to run is one: its verb exists, and takes the options that are shown.
hints_test.py UNDERSTUDY"""
import re
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LITERALS = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
# From "understudy" up to the end of what can be a command: words, options, names in capitals.
COMMAND = re.compile(r"\bunderstudy ((?:[a-z]+ ?)+(?:(?:--[a-z-]+|[A-Z][A-Z_:]*|[a-z0-9./-]+) ?)*)")


def literals(text):
    """String literals, those that follow each other joined; what is added between is shown as X."""
    text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r'"\s*\n?\s*"', "", text)
    text = re.sub(r'"\s*\+\s*[A-Za-z_][\w.>()\[\]-]*(?:\([^()]*\))?\s*\+\s*"', "X", text)
    return LITERALS.findall(text)


class Hints(unittest.TestCase):
    understudy = None

    def test_name_commands_that_exist(self):
        known, seen, wrong = {}, 0, []
        for path in sorted(ROOT.glob("src/*/*.cc")):
            if path.name.endswith("_test.cc"):
                continue
            for literal in literals(path.read_text()):
                for command in COMMAND.findall(literal):
                    words = command.split()
                    verb = next((" ".join(words[:n]) for n in (2, 1) if self.exists(" ".join(words[:n]), known)), None)
                    seen += 1
                    options = re.findall(r"--([a-z-]+)", command)
                    if not verb or not known[verb].issuperset(options):
                        wrong.append(f"{path.relative_to(ROOT)}: understudy {command.strip()}")
        self.assertEqual(wrong, [])
        self.assertGreater(seen, 30)  # the product gives many

    def exists(self, verb, known):
        if verb not in known:
            done = subprocess.run([self.understudy, *verb.split(), "--help"], capture_output=True, text=True)
            good = done.returncode == 0 and f"understudy {verb}" in done.stdout
            known[verb] = {"help", *re.findall(r"--([a-z-]+)", done.stdout)} if good else None
        return known[verb] is not None


if __name__ == "__main__":
    Hints.understudy = sys.argv.pop()
    unittest.main()
