"""Counts the events of the stream HISTORY by kind. Needs: pip install nats-py msgpack zstandard

Usage: NATS_USER=reader NATS_PASSWORD=… python python_history.py [NATS_URL]
"""
import asyncio, collections, io, os, sys
import msgpack, nats, zstandard

def bodies(message):
    """The events of a message: many in a chunk, one in a message of an earlier version."""
    if (message.headers or {}).get("Schema") != "chunk/1":
        return [message.data]
    values = msgpack.Unpacker(io.BytesIO(zstandard.decompress(message.data)), raw=False)
    return [body for subject_end, body in zip(values, values)]

async def main(url="nats://127.0.0.1:4222"):
    user, password = os.environ.get("NATS_USER"), os.environ.get("NATS_PASSWORD")
    client = await nats.connect(url, user=user, password=password, inbox_prefix="_INBOX_reader")
    past = await client.jetstream().subscribe("history.>", stream="HISTORY", ordered_consumer=True)
    kinds = collections.Counter()
    while True:
        try:
            message = await past.next_msg(timeout=2)
        except nats.errors.TimeoutError:  # nothing more for two seconds: the end
            break
        kinds.update(msgpack.unpackb(body)["kind"] for body in bodies(message))
    for kind, count in sorted(kinds.items()):
        print(count, kind)
    await client.close()

asyncio.run(main(*sys.argv[1:]))
