"""Compares a replay with its original stream, message by message. Needs: pip install nats-py

Usage: python replayed.py NATS_URL STREAM PREFIX: prints the number of messages, or fails at the first that differs."""

import asyncio
import sys

import nats


async def read(jetstream, stream):
    last = (await jetstream.stream_info(stream)).state
    messages = await jetstream.subscribe(">", stream=stream, ordered_consumer=True)
    found = []
    while len(found) < last.messages:
        found.append(await messages.next_msg(timeout=20))
    return found


async def main(url, stream, prefix):
    client = await nats.connect(url)
    jetstream = client.jetstream()
    originals = await read(jetstream, stream)
    copies = await read(jetstream, "REPLAY_" + prefix)
    assert len(copies) == len(originals), f"{len(copies)} copies of {len(originals)} messages"
    for copy, original in zip(copies, originals):
        place = original.metadata.sequence.stream
        assert copy.subject == f"{prefix}.{original.subject}", copy.subject
        assert copy.data == original.data, f"body of {place}"
        assert copy.headers["Schema"] == original.headers["Schema"], copy.headers
        assert copy.headers["Original-Stream"] == stream, copy.headers
        assert copy.headers["Original-Sequence"] == str(place), copy.headers
    print(len(copies))
    await client.close()


asyncio.run(main(*sys.argv[1:]))
