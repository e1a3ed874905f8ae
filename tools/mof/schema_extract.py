#!/usr/bin/env python3
"""Writes what the test of the schema compares: the classes of a cim-schema JSON as short lines.

    schema_extract.py cim-schema.json > tests/conformance/schema.txt

A property or method that a class has from its superclass, unchanged, is not said again. Value maps are listed first,
each once: `values 3 0=Unknown|1=Other`.
"""
import json
import sys


def element(name, e, maps):
    words = [name, e["type"]]
    words += [flag for flag in ("array", "key", "in", "out") if e.get(flag)]
    words += [f"ref={e['ref']}"] if e.get("ref") else []
    words += [f"class={e['embedded_class']}"] if e.get("embedded") and e.get("embedded_class") else []
    words += [f"max={e['maxlen']}"] if e.get("maxlen") else []
    words += [f"values={number(e['values'], maps)}"] if e.get("values") else []
    return " ".join(words)


def number(values, maps):
    text = "|".join(f"{code}={name}" for code, name in values.items())
    return maps.setdefault(text, len(maps) + 1)


def members(c, maps):
    found = {}
    for p in c["properties"]:
        found[p["name"]] = ["p " + element(p["name"], p, maps)]
    for m in c["methods"]:
        first = f"m {m['name']} {m['return_type']}"
        found[m["name"] + "()"] = [first] + ["a " + element(p["name"], p, maps) for p in m["parameters"]]
    return found


def main():
    with open(sys.argv[1]) as source:
        classes = {c["class"]: c for c in json.load(source)["classes"]}
    maps = {}
    all_members = {name: members(c, maps) for name, c in classes.items()}
    for text, index in maps.items():
        print(f"values {index} {text}")
    for name, c in sorted(classes.items()):
        flags = [flag for flag in ("abstract", "association") if c.get(flag)]
        print(" ".join(["class", name, c["superclass"] or "-", *flags]))
        above = all_members.get(c["superclass"], {})
        for member, lines in sorted(all_members[name].items()):
            if above.get(member) != lines:
                print("\n".join(lines))


if __name__ == "__main__":
    main()
