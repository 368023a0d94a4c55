#!/usr/bin/env python3
"""Prints how long a run of nextest took, and its slowest tests: slowest.py JUNIT_FILE [COUNT]"""

import sys
import xml.etree.ElementTree

file, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
run = xml.etree.ElementTree.parse(file).getroot()
tests = [
    (float(test.get("time", 0)), f"{suite.get('name')} {test.get('name')}")
    for suite in run.iter("testsuite")
    for test in suite.iter("testcase")
]
print(f"{len(tests)} tests in {float(run.get('time', 0)):.0f} s; the {count} slowest:")
for seconds, name in sorted(tests, reverse=True)[:count]:
    print(f"{seconds:8.1f} s  {name}")
