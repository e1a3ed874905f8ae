#!/usr/bin/env python3
"""What the MOF compiler accepts, and that each kind of error is refused with FILE:LINE:COLUMN."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from mof_compiler import MofError, Parser, Schema, Writer  # noqa: E402


def schema(*texts):
    classes = []
    for number, text in enumerate(texts):
        classes += Parser(text, f"{'abc'[number]}.mof").parse()
    return Schema(classes)


class Accepted(unittest.TestCase):
    def test_inheritance_is_flattened_and_alphabetical(self):
        s = schema("""
            class Low : Top { string Zed; [Key, Override("Name")] string Name; uint8 a[]; };
            [Abstract] class Top { [MaxLen(9)] string Name = "x"; uint16 M = 5; uint32 Go([In] Top REF On); };
        """)
        low, top = s.classes
        self.assertEqual([p.name for p in low.properties], ["a", "M", "Name", "Zed"])
        name = low.properties[2]
        self.assertEqual((name.qualifiers.get("MaxLen"), name.default, "Key" in name.qualifiers), (9, "x", True))
        self.assertNotIn("Key", top.properties[1].qualifiers)
        self.assertEqual(low.methods[0].parameters[0].target, "Top")

    def test_files_may_refer_to_each_other(self):
        s = schema("class A : B { };", "/* later */ class B { A REF Other; A Embedded[]; }; // end")
        self.assertEqual([p.type for p in s.classes[1].properties], ["instance", "reference"])

    def test_value_maps_become_ranges_with_the_rest_last(self):
        text = Writer(schema("""class A { [ValueMap{"..", "0", "0x"}, Values{"a", "b", "c"}] string S;
            [ValueMap{"..", "7", "8..9", "100.."}, Values{"rest", "seven \\"x\\"", "few", "many"}] uint8 U; };""")).text()
        self.assertIn('{7, 7, "seven \\"x\\""},\n    {8, 9, "few"},\n    {100, 255, "many"},\n    {0, 255, "rest"},', text)

    def test_the_projects_own_schema(self):
        with tempfile.TemporaryDirectory() as folder:
            output = os.path.join(folder, "out.cc")
            mof = os.path.join(HERE, "..", "..", "schema")
            files = [os.path.join(mof, f) for f in sorted(os.listdir(mof)) if f.endswith(".mof")]
            run = subprocess.run([sys.executable, os.path.join(HERE, "mof_compiler.py"), "--output", output, *files],
                                 capture_output=True, text=True, check=False)
            self.assertEqual(run.returncode, 0, run.stderr)
            with open(output, encoding="utf-8") as file:
                self.assertIn("Msvm_ReplicationService", file.read())


class Refused(unittest.TestCase):
    CASES = [
        ("class A {\n string B\n};", "a.mof:3:1: expected ';', found '}'"),
        ("class A { string B; }", "a.mof:1:22: expected ';', found end of file"),
        ("class A {\n  string \"B;\n};", "a.mof:2:10: string is not closed on its line"),
        ("/* class A", "a.mof:1:1: comment is not closed"),
        ("class A { string B; };\n#pragma x", "a.mof:2:1: unexpected character '#'"),
        ('class A { string B = "\\q"; };', "a.mof:1:22: unknown escape '\\q' in a string"),
        ("struct A { };", "a.mof:1:1: expected 'class', found 'struct'"),
        ("class A : Nope { };", "a.mof:1:11: class Nope is not declared"),
        ("class A { };\nclass a { };", "a.mof:2:7: class a is declared twice, first at a.mof:1:7"),
        ("class A : B { }; class B : A { };", "a.mof:1:7: class A is its own superclass"),
        ("class A : b { }; class B { };", "a.mof:1:11: class b is spelled B"),
        ("class A { string B; uint8 b; };", "a.mof:1:27: b is declared twice"),
        ("class A { string B; }; class C : A { string B; };",
         'a.mof:1:45: B is declared in a superclass: say [Override("B")]'),
        ('class A { [Override("B")] string B; };', "a.mof:1:34: there is no B in a superclass to override"),
        ('class A { string B; }; class C : A { [Override("B")] uint8 B; };',
         "a.mof:1:60: B changes the type it has in the superclass"),
        ("class A { Nope REF B; };", "a.mof:1:20: class Nope is not declared"),
        ("class A { Nope B; };", "a.mof:1:16: class Nope is not declared"),
        ('class A { [EmbeddedInstance("A")] uint8 B; };', "a.mof:1:41: EmbeddedInstance belongs to a string"),
        ('class A { [EmbeddedInstance("X")] string B; };', "a.mof:1:42: class X is not declared"),
        ("class A { [Nope] string B; };", "a.mof:1:12: unknown qualifier 'Nope'"),
        ("[Key] class A { };", "a.mof:1:2: Key does not belong to a class"),
        ("class A { [Key, Key] string B; };", "a.mof:1:17: Key stands twice"),
        ("class A { [Key] string B[]; };", "a.mof:1:24: a key is not an array"),
        ("class A { [MaxLen(2)] uint8 B; };", "a.mof:1:29: MaxLen belongs to a string"),
        ('class A { [MaxLen("2")] string B; };', "a.mof:1:19: expected a number, found '2'"),
        ("class A { uint8 B = 256; };", "a.mof:1:21: 256 is out of range for uint8"),
        ("class A { uint8 B = -1; };", "a.mof:1:21: -1 is out of range for uint8"),
        ('class A { uint8 B = "x"; };', "a.mof:1:21: 'x' is no value of type uint8"),
        ("class A { boolean B = maybe; };", "a.mof:1:23: 'maybe' is no value of type boolean"),
        ('class A { datetime B = "now"; };', "a.mof:1:24: 'now' is no value of type datetime"),
        ("class A { uint8 B[] = 1; };", "a.mof:1:23: expected '{', found '1'"),
        ('class A { [ValueMap{"1"}] uint8 B; };', "a.mof:1:27: ValueMap and Values stand together"),
        ('class A { [ValueMap{"1"}, Values{"a", "b"}] uint8 B; };', "a.mof:1:45: ValueMap has 1 entries, Values has 2"),
        ('class A { [ValueMap{"256"}, Values{"a"}] uint8 B; };', "a.mof:1:48: 256 is out of range for uint8"),
        ('class A { [ValueMap{"9..8"}, Values{"a"}] uint8 B; };', "a.mof:1:49: ValueMap range '9..8' is empty"),
        ('class A { [ValueMap{"x"}, Values{"a"}] uint8 B; };', "a.mof:1:46: 'x' is no integer"),
        ("class A { uint32 F(string B); };", "a.mof:1:27: parameter B is neither [In] nor [Out]"),
        ("class A { uint32 F([In] string B, [In] string b); };", "a.mof:1:32: parameter B is declared twice"),
        ("class A { uint32 F([In] string B; };", "a.mof:1:33: expected ',', found ';'"),
        ("class A { A REF F(); };", "a.mof:1:17: a method returns a value of a simple type"),
        ("[Association] class A { A REF B; };", "a.mof:1:21: association A has fewer than two references"),
    ]

    def test_each_with_its_place(self):
        for text, expected in self.CASES:
            with self.subTest(text):
                with self.assertRaises(MofError) as caught:
                    schema(text)
                self.assertEqual(str(caught.exception), expected)

    def test_the_command_writes_nothing_and_fails(self):
        with tempfile.TemporaryDirectory() as folder:
            source, output = os.path.join(folder, "x.mof"), os.path.join(folder, "out.cc")
            with open(source, "w", encoding="utf-8") as file:
                file.write("class A {\n  string\n};\n")
            run = subprocess.run([sys.executable, os.path.join(HERE, "mof_compiler.py"), "--output", output, source],
                                 capture_output=True, text=True, check=False)
            self.assertEqual(run.returncode, 1)
            self.assertEqual(run.stderr, f"{source}:3:1: expected a name, found '}}'\n")
            self.assertFalse(os.path.exists(output))


if __name__ == "__main__":
    unittest.main()
