"""The state of a recorded chain at the end, from the JSON alone.

usage: recording_truth.py RECORDING.jsonl.gz
Prints one JSON object: hashes of the canonical blocks, [hash, index] of every log in them, and of
every log in blocks that left the chain. Shares no code with the producer.
"""

import gzip
import json
import sys


def main():
    blocks, logs = {}, {}
    with gzip.open(sys.argv[1], "rt") as lines:
        for line in lines:
            call = json.loads(line)
            request, result = call["request"], call["response"].get("result")
            if result is None:
                continue
            if request["method"] == "eth_getLogs":
                logs[request["params"][0]["blockHash"]] = [int(log["logIndex"], 16) for log in result]
            else:
                blocks[result["hash"]] = result
                newest = result["hash"]
    canonical = []
    block = blocks.get(newest)
    while block:
        canonical.append(block["hash"])
        block = blocks.get(block["parentHash"])

    def places(hashes):
        return [[block, index] for block in hashes for index in logs[block]]

    left = set(blocks) - set(canonical)
    json.dump({"blocks": canonical, "logs": places(canonical), "retracted": places(left)}, sys.stdout)


main()
