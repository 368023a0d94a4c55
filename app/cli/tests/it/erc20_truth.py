"""Every ERC-20 transfer in recorded receipts, as `<block hash> <log index>` lines: three topics, the
first of Transfer(address,address,uint256), and 32 bytes of data. Standard library only."""

import gzip
import json
import pathlib
import sys

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


def read(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        return json.load(file)


def main(folder):
    for path in sorted(pathlib.Path(folder, "evm").glob("*/*")):
        if ".receipts.json" not in path.name:
            continue
        for log in (log for receipt in read(path) for log in receipt["logs"]):
            if len(log["topics"]) == 3 and log["topics"][0] == TRANSFER and len(log["data"]) == 66:
                print(log["blockHash"], int(log["logIndex"], 16))


main(sys.argv[1])
