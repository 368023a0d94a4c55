"""Decodes the golden vectors with PyPI's msgpack and zstandard and compares them with their JSON.

Usage: golden.py GOLDEN_FOLDER SCHEMA_FOLDER

It uses only files of the project, none of its code: the types of fields come from the kind's JSON Schema.
"""

import json
import io
import pathlib
import sys

import msgpack
import zstandard


def resolve(schema, root):
    """The schema itself, behind references and behind "or null"."""
    while True:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/$defs/")
            schema = root["$defs"][name]
        elif "anyOf" in schema:
            schema = next(part for part in schema["anyOf"] if part.get("type") != "null")
        else:
            return schema


def readable(value, schema, root, place):
    """A decoded value in its JSON form."""
    schema = resolve(schema, root)
    if isinstance(value, bytes):
        if schema.get("format") == "uint256":
            assert len(value) == 32, f"{place}: {len(value)} bytes instead of 32"
            return str(int.from_bytes(value, "big"))
        if schema.get("format") == "int256":
            assert len(value) == 32, f"{place}: {len(value)} bytes instead of 32"
            return str(int.from_bytes(value, "big", signed=True))
        return "0x" + value.hex()
    if "additionalProperties" in schema:
        return value
    assert schema.get("format") not in ("uint256", "int256"), f"{place}: big number as {type(value).__name__}"
    if isinstance(value, dict):
        return {
            key: readable(item, schema["properties"][key], root, f"{place}.{key}")
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [readable(item, schema["items"], root, f"{place}[]") for item in value]
    assert not isinstance(value, float), f"{place}: a float on the wire"
    return value


def chunk(path, schemas):
    """The events of a chunk in their JSON form, each under the end of its subject."""
    # The frame says its size.
    values = msgpack.Unpacker(io.BytesIO(zstandard.decompress(path.read_bytes())), raw=False)
    events = []
    for tail, body in zip(values, values):
        body = msgpack.unpackb(body, raw=False, strict_map_key=True)
        schema = json.loads((schemas / f"{body['kind']}.json").read_text("utf-8"))
        events.append([tail, readable(body, schema, schema, f"{path.stem} {tail}")])
    return events


def main():
    golden, schemas = map(pathlib.Path, sys.argv[1:])
    vectors = sorted(golden.glob("*.msgpack"))
    assert vectors, f"no vectors in {golden}"
    for path in vectors:
        body = msgpack.unpackb(path.read_bytes(), raw=False, strict_map_key=True)
        schema = json.loads((schemas / f"{body['kind']}.json").read_text("utf-8"))
        found = readable(body, schema, schema, path.stem)
        expected = json.loads(path.with_suffix(".json").read_text("utf-8"))
        for name in expected.keys() | found.keys():
            if found.get(name) != expected.get(name):
                sys.exit(
                    f"{path.name}: {name} is {found.get(name)!r}, not {expected.get(name)!r}"
                )
        assert list(found) == list(expected), f"{path.name}: fields in another order"
        missing = set(schema["required"]) - found.keys()
        assert not missing, f"{path.name}: lacks {sorted(missing)}"
    chunks = sorted(golden.glob("chunk/*.zst"))
    for path in chunks:
        if chunk(path, schemas) != json.loads(path.with_suffix(".json").read_text("utf-8")):
            sys.exit(f"{path.name}: its events are not those of its JSON")
    print(f"{len(vectors)} vectors agree, {len(chunks)} chunks")


if __name__ == "__main__":
    main()
