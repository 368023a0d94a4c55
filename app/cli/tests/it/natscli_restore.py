"""Restores a stream from a folder with the requests of `nats stream restore`: prints the state that the server reports."""

import asyncio
import json
import os
import sys

import nats


async def main(url, folder):
    connection = await nats.connect(url)
    with open(os.path.join(folder, "backup.json"), "rb") as file:
        request = file.read()
    stream = json.loads(request)["config"]["name"]
    answer = await connection.request(f"$JS.API.STREAM.RESTORE.{stream}", request, timeout=10)
    subject = json.loads(answer.data)["deliver_subject"]
    names = [name for name in os.listdir(folder) if name.startswith("stream.")]
    assert names in (["stream.arc.s2"], ["stream.tar.s2"]), names
    with open(os.path.join(folder, names[0]), "rb") as file:
        while chunk := file.read(64 * 1024):
            answer = await connection.request(subject, chunk, timeout=30)
            assert not answer.data, answer.data
    answer = await connection.request(subject, b"", timeout=60)
    print(json.dumps(json.loads(answer.data)["state"]))
    await connection.close()


asyncio.run(main(*sys.argv[1:]))
