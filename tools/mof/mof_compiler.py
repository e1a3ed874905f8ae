#!/usr/bin/env python3
"""Compiles the CIM classes of schema/*.mof into one C++ table (the data behind src/cim/schema.h).

    mof_compiler.py --output FILE.cc A.mof B.mof ...

The MOF it reads is the part of DSP0004 that the schema uses: class declarations with qualifiers,
properties, references, embedded objects (a class name as type) and methods, in files of any order.
Everything else is refused with FILE:LINE:COLUMN: what was expected. Nothing is written when anything is wrong.
"""

import argparse
import re
import sys
from dataclasses import dataclass, field
from typing import Optional

INTEGERS = {
    "uint8": (0, 2**8 - 1), "uint16": (0, 2**16 - 1), "uint32": (0, 2**32 - 1), "uint64": (0, 2**64 - 1),
    "sint8": (-2**7, 2**7 - 1), "sint16": (-2**15, 2**15 - 1), "sint32": (-2**31, 2**31 - 1),
    "sint64": (-2**63, 2**63 - 1),
}
TYPES = {*INTEGERS, "boolean", "real32", "real64", "char16", "string", "datetime"}
DATETIME = re.compile(r"\d{14}\.\d{6}[+-]\d{3}|\d{14}\.\d{6}:000")

# Qualifier -> where it may stand. Those that take arguments: how many ("1", "list").
FLAGS = {"Key": "p", "In": "a", "Out": "a", "Abstract": "c", "Association": "c", "Indication": "c"}
ARGUMENTS = {"Override": ("pm", "text"), "EmbeddedInstance": ("pa", "text"), "MaxLen": ("pa", "number"),
             "MinValue": ("pa", "number"), "MaxValue": ("pa", "number"),
             "ValueMap": ("pam", "list"), "Values": ("pam", "list")}
PLACES = {"p": "a property", "a": "a parameter", "m": "a method", "c": "a class"}


class MofError(Exception):
    def __init__(self, where, message):
        super().__init__(f"{where}: {message}")


@dataclass
class Token:
    kind: str  # name, number, string, symbol, end
    text: str
    where: str

    def shown(self):
        return "end of file" if self.kind == "end" else f"'{self.text}'"


@dataclass
class Element:
    """A property or a parameter. `type` is a CIM type, "reference" or "instance"."""
    name: str
    where: str
    type: str
    target: str = ""  # class of a reference, of an embedded object, or of a string's EmbeddedInstance
    array: bool = False
    qualifiers: dict = field(default_factory=dict)
    default: Optional[object] = None


@dataclass
class Method:
    name: str
    where: str
    return_type: str
    parameters: list
    qualifiers: dict


@dataclass
class MofClass:
    name: str
    where: str
    superclass: str
    qualifiers: dict
    properties: list
    methods: list
    superclass_where: str = ""


# --- text to tokens -----------------------------------------------------------------------------------------

TOKEN = re.compile(r"""
    (?P<space>[ \t\r\n]+|//[^\n]*|/\*.*?\*/)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>[+-]?[0-9]+(?:\.[0-9]+)?)
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<symbol>[\[\]{}();:,=])
""", re.VERBOSE | re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def unescape(text, where):
    def one(match):
        if match[1] not in ESCAPES:
            raise MofError(where, f"unknown escape '\\{match[1]}' in a string")
        return ESCAPES[match[1]]
    return re.sub(r"\\(.)", one, text, flags=re.DOTALL)


def tokenize(text, filename):
    position, tokens = 0, []
    line, line_start = 1, 0
    while position < len(text):
        where = f"{filename}:{line}:{position - line_start + 1}"
        match = TOKEN.match(text, position)
        if not match:
            if text[position] == '"':
                raise MofError(where, "string is not closed on its line")
            if text.startswith("/*", position):
                raise MofError(where, "comment is not closed")
            raise MofError(where, f"unexpected character '{text[position]}'")
        if match.lastgroup == "string":
            tokens.append(Token("string", unescape(match[0][1:-1], where), where))
        elif match.lastgroup != "space":
            tokens.append(Token(match.lastgroup, match[0], where))
        newlines = match[0].count("\n")
        if newlines:
            line += newlines
            line_start = position + match[0].rindex("\n") + 1
        position = match.end()
    tokens.append(Token("end", "", f"{filename}:{line}:{position - line_start + 1}"))
    return tokens


# --- tokens to declarations ---------------------------------------------------------------------------------

class Parser:
    def __init__(self, text, filename):
        self.tokens = tokenize(text, filename)
        self.index = 0

    @property
    def token(self):
        return self.tokens[self.index]

    def advance(self):
        token = self.token
        self.index += 1
        return token

    def accept(self, text):
        if self.token.kind in ("symbol", "name") and self.token.text.lower() == text.lower():
            return self.advance()
        return None

    def expect(self, text):
        token = self.accept(text)
        if not token:
            raise MofError(self.token.where, f"expected '{text}', found {self.token.shown()}")
        return token

    def expect_kind(self, kind, what):
        if self.token.kind != kind:
            raise MofError(self.token.where, f"expected {what}, found {self.token.shown()}")
        return self.advance()

    def parse(self):
        classes = []
        while self.token.kind != "end":
            classes.append(self.mof_class())
        return classes

    def mof_class(self):
        qualifiers = self.qualifiers("c")
        self.expect("class")
        name = self.expect_kind("name", "a class name")
        superclass = self.expect_kind("name", "a superclass") if self.accept(":") else None
        self.expect("{")
        result = MofClass(name.text, name.where, superclass.text if superclass else "", qualifiers, [], [],
                          superclass.where if superclass else "")
        while not self.accept("}"):
            self.feature(result)
        self.expect(";")
        return result

    def feature(self, owner):
        start = self.index
        self.qualifiers("pm")
        self.typed_name()
        is_method = bool(self.accept("("))
        self.index = start
        if is_method:
            owner.methods.append(self.method())
        else:
            owner.properties.append(self.mof_property())

    def method(self):
        qualifiers = self.qualifiers("m")
        element = self.typed_name()
        if element.type not in TYPES:
            raise MofError(element.where, "a method returns a value of a simple type")
        self.expect("(")
        parameters = []
        if not self.accept(")"):
            while True:
                parameters.append(self.parameter())
                if self.accept(")"):
                    break
                self.expect(",")
        self.expect(";")
        return Method(element.name, element.where, element.type, parameters, qualifiers)

    def mof_property(self):
        qualifiers = self.qualifiers("p")
        element = self.element(qualifiers)
        if self.accept("="):
            element.default = self.initial_value(element)
        self.expect(";")
        return element

    def parameter(self):
        qualifiers = self.qualifiers("a")
        element = self.element(qualifiers)
        if "In" not in qualifiers and "Out" not in qualifiers:
            raise MofError(element.where, f"parameter {element.name} is neither [In] nor [Out]")
        return element

    def element(self, qualifiers):
        element = self.typed_name()
        element.qualifiers = qualifiers
        if self.accept("["):
            self.expect("]")
            element.array = True
        if "EmbeddedInstance" in qualifiers:
            if element.type != "string":
                raise MofError(element.where, "EmbeddedInstance belongs to a string")
            element.target = qualifiers["EmbeddedInstance"]
        if "MaxLen" in qualifiers and element.type != "string":
            raise MofError(element.where, "MaxLen belongs to a string")
        if "Key" in qualifiers and element.array:
            raise MofError(element.where, "a key is not an array")
        return element

    def typed_name(self):
        type_token = self.expect_kind("name", "a type")
        kind, target = type_token.text.lower(), ""
        if self.accept("REF"):
            kind, target = "reference", type_token.text
        elif kind not in TYPES:
            kind, target = "instance", type_token.text
        name = self.expect_kind("name", "a name")
        return Element(name.text, name.where, kind, target)

    def qualifiers(self, places):
        result = {}
        if not self.accept("["):
            return result
        while True:
            self.qualifier(result, places)
            if self.accept("]"):
                break
            self.expect(",")
        if ("ValueMap" in result) != ("Values" in result):
            raise MofError(self.token.where, "ValueMap and Values stand together")
        if "ValueMap" in result and len(result["ValueMap"]) != len(result["Values"]):
            raise MofError(self.token.where, f"ValueMap has {len(result['ValueMap'])} entries, "
                                             f"Values has {len(result['Values'])}")
        return result

    def qualifier(self, result, places):
        token = self.expect_kind("name", "a qualifier")
        name = token.text
        allowed, argument = (FLAGS[name], None) if name in FLAGS else ARGUMENTS.get(name, (None, None))
        if allowed is None:
            raise MofError(token.where, f"unknown qualifier '{name}'")
        if not set(allowed) & set(places):
            raise MofError(token.where, f"{name} does not belong to {PLACES[places[0]]}")
        if name in result:
            raise MofError(token.where, f"{name} stands twice")
        result[name] = self.qualifier_argument(argument)

    def qualifier_argument(self, argument):
        if argument is None:
            return True
        if argument == "list":
            self.expect("{")
            values = [self.expect_kind("string", "a string").text]
            while self.accept(","):
                values.append(self.expect_kind("string", "a string").text)
            self.expect("}")
            return values
        self.expect("(")
        kind = "string" if argument == "text" else "number"
        token = self.expect_kind(kind, f"a {kind}")
        self.expect(")")
        return token.text if kind == "string" else parse_integer(token.text, token.where, "sint64")

    def initial_value(self, element):
        if not element.array:
            return self.scalar(element)
        self.expect("{")
        values = [self.scalar(element)]
        while self.accept(","):
            values.append(self.scalar(element))
        self.expect("}")
        return values

    def scalar(self, element):
        token = self.advance()
        if element.type in INTEGERS and token.kind == "number":
            return str(parse_integer(token.text, token.where, element.type))
        if element.type == "boolean" and token.kind == "name" and token.text.upper() in ("TRUE", "FALSE"):
            return token.text.upper()
        if element.type == "string" and token.kind == "string":
            return token.text
        if element.type == "datetime" and token.kind == "string" and DATETIME.fullmatch(token.text):
            return token.text
        raise MofError(token.where, f"{token.shown()} is no value of type {element.type}")


def parse_integer(text, where, kind):
    low, high = INTEGERS[kind]
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise MofError(where, f"'{text}' is no integer")
    if not low <= int(text) <= high:
        raise MofError(where, f"{text} is out of range for {kind}")
    return int(text)


# --- meaning ------------------------------------------------------------------------------------------------

def inherit_element(parent, child):
    """The child's declaration where it says something, the parent's where it does not."""
    if (parent.type, parent.array) != (child.type, child.array):
        raise MofError(child.where, f"{child.name} changes the type it has in the superclass")
    child.qualifiers = {**{k: v for k, v in parent.qualifiers.items() if k != "Override"}, **child.qualifiers}
    child.target = child.target or parent.target
    if child.default is None:
        child.default = parent.default
    return child


def check_override(child, parent):
    said = child.qualifiers.get("Override")
    if parent and said is None:
        raise MofError(child.where,
                       f'{child.name} is declared in a superclass: say [Override("{parent.name}")]')
    if said is not None and (not parent or said != parent.name):
        raise MofError(child.where, f"there is no {said} in a superclass to override")


def merge(own, inherited, combine):
    result = {x.name.lower(): x for x in inherited}
    seen = set()
    for item in own:
        name = item.name.lower()
        if name in seen:
            raise MofError(item.where, f"{item.name} is declared twice")
        seen.add(name)
        check_override(item, result.get(name))
        result[name] = combine(result[name], item) if name in result else item
    return [result[name] for name in sorted(result)]


class Schema:
    """All classes with inheritance flattened, alphabetical."""

    def __init__(self, classes):
        self.by_name = {}
        for c in classes:
            if c.name.lower() in self.by_name:
                raise MofError(c.where, f"class {c.name} is declared twice, "
                                        f"first at {self.by_name[c.name.lower()].where}")
            self.by_name[c.name.lower()] = c
        self.flat = set()
        for c in classes:
            self.flatten(c, [])
        self.classes = [self.by_name[name] for name in sorted(self.by_name)]
        for c in self.classes:
            self.check(c)

    def find(self, name, where):
        found = self.by_name.get(name.lower())
        if not found:
            raise MofError(where, f"class {name} is not declared")
        if found.name != name:
            raise MofError(where, f"class {name} is spelled {found.name}")
        return found

    def flatten(self, c, below):
        if c.name in self.flat:
            return
        if c.name in below:
            raise MofError(c.where, f"class {c.name} is its own superclass")
        parent = None
        if c.superclass:
            parent = self.find(c.superclass, c.superclass_where)
            self.flatten(parent, below + [c.name])
            for sticky in ("Association", "Indication"):
                if sticky in parent.qualifiers:
                    c.qualifiers[sticky] = True
        c.properties = merge(c.properties, parent.properties if parent else [], inherit_element)
        c.methods = merge(c.methods, parent.methods if parent else [], lambda _, child: child)
        self.flat.add(c.name)

    def check(self, c):
        for p in c.properties:
            self.check_element(p)
        for m in c.methods:
            check_values(m.qualifiers, m.return_type, m.where)
            names = [p.name.lower() for p in m.parameters]
            for p in m.parameters:
                self.check_element(p)
                if names.count(p.name.lower()) > 1:
                    raise MofError(p.where, f"parameter {p.name} is declared twice")
        if "Association" in c.qualifiers and sum(p.type == "reference" for p in c.properties) < 2:
            raise MofError(c.where, f"association {c.name} has fewer than two references")

    def check_element(self, e):
        if e.target:
            self.find(e.target, e.where)
        check_values(e.qualifiers, e.type, e.where)


def check_values(qualifiers, kind, where):
    if "ValueMap" in qualifiers and kind in INTEGERS:
        value_ranges(qualifiers, kind, where)
    elif "ValueMap" in qualifiers and kind != "string":
        raise MofError(where, f"ValueMap on a {kind}")


def value_ranges(qualifiers, kind, where):
    """[(low, high, name)] of a ValueMap; what '..' names, all the rest, comes last."""
    least, most = INTEGERS[kind]
    ranges, rest = [], []
    for key, name in zip(qualifiers["ValueMap"], qualifiers["Values"]):
        if key == "..":
            rest.append((least, most, name))
            continue
        low, dots, high = key.partition("..")
        low = parse_integer(low, where, kind) if low else least
        high = low if not dots else parse_integer(high, where, kind) if high else most
        if low > high:
            raise MofError(where, f"ValueMap range '{key}' is empty")
        ranges.append((low, high, name))
    return ranges + rest


# --- C++ ----------------------------------------------------------------------------------------------------

def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def flag(value):
    return "true" if value else "false"


class Writer:
    def __init__(self, schema):
        self.schema = schema
        self.lines = []
        self.arrays = {}  # text of an array -> its name: equal arrays are written once

    def array(self, kind, prefix, rows):
        if not rows:
            return "{}"
        body = "".join(f"    {row},\n" for row in rows)
        if (kind, body) not in self.arrays:
            name = f"k{prefix}{len(self.arrays)}"
            self.arrays[(kind, body)] = name
            self.lines.append(f"constexpr {kind} {name}[] = {{\n{body}}};")
        return self.arrays[(kind, body)]

    def values(self, qualifiers, kind, where):
        if "ValueMap" not in qualifiers or kind not in INTEGERS:
            return "{}"
        # The ends of uint64 do not fit; no map of the schema comes near them.
        clamp = lambda n: max(-2**63 + 1, min(2**63 - 1, n))
        rows = [f"{{{clamp(low)}, {clamp(high)}, {quoted(name)}}}"
                for low, high, name in value_ranges(qualifiers, kind, where)]
        return self.array("ValueName", "Values", rows)

    def common(self, e):
        """The last members of PropertyDecl and ParameterDecl."""
        embedded_class = "" if e.type == "reference" else e.target
        return (f"{quoted(embedded_class)}, {e.qualifiers.get('MaxLen', 0)}, "
                f"{self.values(e.qualifiers, e.type, e.where)}")

    def property(self, e):
        default = e.default
        if isinstance(default, list):
            default = ",".join(default)
        return (f"{{{quoted(e.name)}, Type::{e.type}, {flag(e.array)}, {flag('Key' in e.qualifiers)}, "
                f"{flag('EmbeddedInstance' in e.qualifiers)}, "
                f"{quoted(e.target if e.type == 'reference' else '')}, "
                f"{quoted(default or '')}, {flag(default is not None)}, {self.common(e)}}}")

    def parameter(self, e):
        return (f"{{{quoted(e.name)}, Type::{e.type}, {flag(e.array)}, {flag('In' in e.qualifiers)}, "
                f"{flag('Out' in e.qualifiers)}, {flag('EmbeddedInstance' in e.qualifiers)}, "
                f"{quoted(e.target if e.type == 'reference' else '')}, {self.common(e)}}}")

    def method(self, m):
        parameters = self.array("ParameterDecl", "Parameters", [self.parameter(p) for p in m.parameters])
        return (f"{{{quoted(m.name)}, Type::{m.return_type}, {parameters}, "
                f"{self.values(m.qualifiers, m.return_type, m.where)}}}")

    def mof_class(self, c):
        properties = self.array("PropertyDecl", "Properties", [self.property(p) for p in c.properties])
        methods = self.array("MethodDecl", "Methods", [self.method(m) for m in c.methods])
        return (f"{{{quoted(c.name)}, {quoted(c.superclass)}, {flag('Abstract' in c.qualifiers)}, "
                f"{flag('Association' in c.qualifiers)}, {properties}, {methods}}}")

    def text(self):
        classes = self.array("ClassDecl", "Classes", [self.mof_class(c) for c in self.schema.classes])
        arrays = "\n".join(self.lines)
        return ("// Generated by tools/mof/mof_compiler.py from schema/*.mof.\n"
                '#include "cim/schema.h"\n\n'
                "namespace understudy::cim {\nnamespace {\n\n"
                f"{arrays}\n\n}}  // namespace\n\n"
                f"std::span<const ClassDecl> all_classes() {{ return {classes}; }}\n\n"
                "}  // namespace understudy::cim\n")


def compile_files(paths):
    classes = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            classes += Parser(file.read(), path).parse()
    if not classes:
        raise MofError("mof_compiler", "no class is declared")
    return Schema(classes)


def main():
    arguments = argparse.ArgumentParser(description="MOF to the C++ tables of src/cim/schema.h")
    arguments.add_argument("--output", required=True)
    arguments.add_argument("files", nargs="+")
    options = arguments.parse_args()
    try:
        text = Writer(compile_files(options.files)).text()
    except (MofError, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 1
    with open(options.output, "w", encoding="utf-8") as output:
        output.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
