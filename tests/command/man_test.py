#!/usr/bin/python3
"""The man pages are well-formed, and say what the programs know: verbs, arguments, options, exit codes, settings.
man_test.py UNDERSTUDY UNDERSTUDYD"""
import re
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAN = ROOT / "docs/man"


def output(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def options_of_help(text):
    """(name, what its value is called) of each line "  --name VALUE   help"."""
    return re.findall(r"^  --([a-z-]+)(?: ([A-Z\[\]:]+))?  ", text, re.MULTILINE)


def options_of_page(text):
    return [(name, value) for name, value in re.findall(r"^\.It Fl Fl (\S+)(?: Ar (\S+))?$", text, re.MULTILINE)]


def section(text, title):
    return re.search(rf"^\.Sh {title}\n(.*?)(?=^\.Sh |\Z)", text, re.MULTILINE | re.DOTALL)[1]


class ManPages(unittest.TestCase):
    understudy = understudyd = None

    def test_are_well_formed(self):
        for page in sorted(MAN.iterdir()):
            said = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
            self.assertEqual((said.returncode, said.stdout), (0, ""), page.name)

    def test_have_every_verb_with_its_arguments_and_options(self):
        page = section((MAN / "understudy.1").read_text(), "COMMANDS")
        described = dict(re.findall(r"^\.Ss (.*)\n((?:(?!\.Ss ).*\n)*)", page, re.MULTILINE))
        overview = output(self.understudy, "--help").split("\nCommands:\n")[1].split("\n\n")[0]
        known = re.findall(r"^  ((?:[a-z]+ ?)+(?: ?\[?[A-Z:]+\]?)*)  ", overview + "  ", re.MULTILINE)
        self.assertGreater(len(known), 30)
        self.assertEqual([k.strip() for k in known], list(described))
        for verb, text in described.items():
            words = [w for w in verb.split() if w.islower()]
            helped = output(self.understudy, *words, "--help").split("For every command:")[0]
            self.assertEqual(options_of_help(helped), options_of_page(text), verb)

    def test_have_the_options_of_every_command_and_the_exit_codes(self):
        page = (MAN / "understudy.1").read_text()
        text = output(self.understudy, "--help")
        general, codes = text.split("For every command:")[1].split("Exit codes:")
        self.assertEqual(options_of_help(general), options_of_page(section(page, "DESCRIPTION")))
        rows = re.findall(r"^\.It (\d)\n(.*)\.$", section(page, "EXIT STATUS"), re.MULTILINE)
        self.assertEqual([(c, m[0].lower() + m[1:]) for c, m in rows], re.findall(r"^  (\d)  (.*)$", codes, re.MULTILINE))

    def test_have_the_options_of_the_daemon(self):
        known = set(re.findall(r"--([a-z]+)", output(self.understudyd, "--help"))) | {"help"}
        self.assertEqual({name for name, _ in options_of_page((MAN / "understudyd.8").read_text())}, known)

    def test_have_every_setting(self):
        rows = re.findall(r"^\| (`.*?`) \| ", (ROOT / "docs/reference/configuration.md").read_text(), re.MULTILINE)
        settings = re.findall(r"`(\w+)`", " ".join(r for r in rows))
        page = re.findall(r"Va (\w+)", (MAN / "understudyd.toml.5").read_text())
        self.assertEqual(page, settings)
        read = re.findall(r"(?:section|root)\.(?:text|texts|numbers?|flag|map)\(\"(\w+)\"", (ROOT / "src/daemon/config.cc").read_text())
        self.assertEqual(sorted(read), sorted(settings), "the daemon reads what is described")


if __name__ == "__main__":
    ManPages.understudy, ManPages.understudyd = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
