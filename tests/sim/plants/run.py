#!/usr/bin/python3
"""Plants each bug of plants.txt into a copy of the product, all in one build and switched on one at a time, and lets the
simulator look for it: exit status 1 when one is not found within so many seeds. `run.py [SEEDS] [WORD]`: only those
with WORD in their names."""
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
PLACE = ROOT / "build" / "plants"
COPIED = ("CMakeLists.txt", "CMakePresets.json", "cmake", "src", "tests/CMakeLists.txt", "tests/sim", "tests/conformance", "tests/bench",
          "tests/command", "tests/hostile", "packaging", "tests/fuzz/CMakeLists.txt", "tests/fuzz/replay_main.cc")


def plants():
    found = []
    for block in re.split(r"\n\s*\n", (HERE / "plants.txt").read_text()):
        fields = dict(re.match(r"(\w+):\s*(.*)", line).groups() for line in block.split("\n") if line and line[0] != "#")
        if fields:
            found.append(fields)
    return found


def copy():
    """Files that have not changed keep their times, so that they are not compiled again."""
    tree = PLACE / "tree"
    texts = {}
    for name in COPIED:
        source = ROOT / name
        for path in [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]:
            texts[path.relative_to(ROOT)] = path.read_text()
    return tree, texts


def plant(texts, number, fields):
    path = pathlib.Path("src") / fields["file"]
    text = texts[path]
    fields["old"] = fields["old"].replace("\\n", "\n")
    near = text.find(fields["near"])
    at = text.find(fields["old"], near)
    if near < 0 or at < 0:
        sys.exit(f"plants.txt: '{fields['name']}': not in {path}")
    old, new = fields["old"], fields["new"]
    if old.startswith("if ") and not old.endswith(";"):  # a condition
        condition = re.match(r"if \((.*)\)$", old).group(1), re.match(r"if \((.*)\)$", new).group(1)
        planted = f"if (understudy_planted == {number} ? ({condition[1]}) : ({condition[0]}))"
    elif old.endswith(";"):
        planted = f"if (understudy_planted == {number}) {{ {new} }} else {{ {old} }}"
    else:
        planted = f"(understudy_planted == {number} ? ({new}) : ({old}))"
    texts[path] = text[:at] + planted + text[at + len(old):]


def write(tree, texts, all_plants):
    for fields in all_plants:
        path = pathlib.Path("src") / fields["file"]
        if not texts[path].startswith("extern int"):
            texts[path] = "extern int understudy_planted;\n" + texts[path]
    for path, text in texts.items():
        target = tree / path
        if not target.exists() or target.read_text() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    for path in [p for p in tree.rglob("*") if p.is_file() and p.relative_to(tree) not in texts]:
        path.unlink()


def build(tree):
    out = PLACE / "out"
    log = PLACE / "log"
    with open(log, "w") as sink:
        for command in (
            ["cmake", "-S", tree, "-B", out, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_CXX_COMPILER=g++",
             "-DCMAKE_CXX_FLAGS=-Wno-error -w"],
            ["ninja", "-C", out, "sim"],
        ):
            if subprocess.run(command, stdout=sink, stderr=subprocess.STDOUT).returncode != 0:
                print("\n".join(log.read_text().split("\n")[-30:]))
                sys.exit("the planted copy does not build")
    return out / "bin" / "sim"


def main():
    seeds = sys.argv[1] if len(sys.argv) > 1 else "2000"
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    tree, texts = copy()
    all_plants = plants()
    for number, fields in enumerate(all_plants, 1):
        plant(texts, number, fields)
    write(tree, texts, all_plants)
    program = build(tree)
    clean = subprocess.run([program, "--seeds", seeds, "--plant", "0"], text=True, capture_output=True)
    if clean.returncode != 0:
        print(clean.stdout)
        sys.exit("there is a violation without any planted bug")
    missed = 0
    for number, fields in enumerate(all_plants, 1):
        if word not in fields["name"]:
            continue
        run = subprocess.run([program, "--seeds", seeds, "--plant", str(number)], text=True, capture_output=True)
        found = sorted((int(m.group(1)), m.group(2)) for m in re.finditer(r"^seed (\d+): (.*)$", run.stdout, re.M))
        if found:
            print(f"found at seed {found[0][0]:5}  {fields['name']}\n    {found[0][1]}", flush=True)
        else:
            missed += 1
            print(f"NOT FOUND in {seeds} seeds  {fields['name']}", flush=True)
    print(f"{len(all_plants)} bugs planted, {missed} not found")
    return 1 if missed else 0


if __name__ == "__main__":
    shutil.os.environ.setdefault("CCACHE_NOHASHDIR", "1")
    shutil.os.environ.setdefault("CCACHE_BASEDIR", str(ROOT))
    sys.exit(main())
