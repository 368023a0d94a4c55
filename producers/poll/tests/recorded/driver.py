"""Reads the recorded answers by the modules beside this file, which know nothing of the filters.

    driver.py FOLDER_OF_ANSWERS

Prints one JSON object a line: what an answer holds ({"provider", "endpoint", "file", "parameters", "events"}), an answer
that is a fault ({..., "fault": true}), or what is wrong with a module ({"provider", "problem"}).

A module <provider>.py has RECORDED (endpoint to a glob or a list of globs), one function for each endpoint (- as _) that
takes an answer and yields the fields of its events, and may have HISTORY (the same for answers about the past, whose
functions end in _history), PARAMETERS (endpoint to parameters) and FAULTS (glob to endpoint). An answer is JSON whose numbers are texts as they were written, the root element of an XML document, or text.
A time is "at_us"; None is a field that must be absent.
"""
import importlib.util
import json
import sys
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree


def read(path):
    body = path.read_bytes()
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return ElementTree.fromstring(body)
    if path.suffix == ".json":
        return json.loads(body, parse_int=str, parse_float=str)
    return body.decode()


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(answers, globs):
    for glob in [globs] if isinstance(globs, str) else globs:
        found = sorted(answers.glob(glob))
        if not found:
            raise LookupError(f"there is no recorded answer {glob}")
        yield from found


def write(value):
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{value!r} cannot be compared: give a text, a whole number or a Decimal")


def lines_of(path, answers):
    module = load(path)
    parameters = getattr(module, "PARAMETERS", {})
    live = [(endpoint, globs, "") for endpoint, globs in module.RECORDED.items()]
    past = [(endpoint, globs, "_history") for endpoint, globs in getattr(module, "HISTORY", {}).items()]
    for endpoint, globs, suffix in live + past:
        reader = getattr(module, endpoint.replace("-", "_") + suffix)
        for file in files(answers, globs):
            yield {
                "provider": path.stem,
                "endpoint": endpoint,
                "history": bool(suffix),
                "file": str(file.relative_to(answers)),
                "parameters": parameters.get(endpoint, {}),
                "events": list(reader(read(file))),
            }
    for globs, endpoint in getattr(module, "FAULTS", {}).items():
        for file in files(answers, globs):
            yield {
                "provider": path.stem,
                "endpoint": endpoint,
                "file": str(file.relative_to(answers)),
                "parameters": parameters.get(endpoint, {}),
                "fault": True,
            }


def main():
    sys.dont_write_bytecode = True
    answers = Path(sys.argv[1])
    here = Path(__file__)
    for path in sorted(here.parent.glob("*.py")):
        if path == here:
            continue
        try:
            for line in lines_of(path, answers):
                print(json.dumps(line, default=write))
        except Exception as error:  # One wrong module must not hide what the others find.
            problem = f"{type(error).__name__}: {error}"
            print(json.dumps({"provider": path.stem, "problem": problem}))


if __name__ == "__main__":
    main()
