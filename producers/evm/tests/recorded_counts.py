"""Counts of what a block's events should be, from its block and receipts JSON alone.

usage: recorded_counts.py DATA_FOLDER CHAIN
Prints one JSON object: block number -> counts, and the ERC-20 transfers' log indexes.
Shares no code with the producer, so that an error of one is not an error of the other.
"""

import gzip
import json
import pathlib
import sys

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
SINGLE = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
BATCH = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
APPROVAL = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
APPROVAL_FOR_ALL = "0x17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31"


def read(folder, name):
    plain = folder / name
    if plain.exists():
        return json.loads(plain.read_text())
    with gzip.open(folder / (name + ".gz")) as packed:
        return json.load(packed)


def batch_length(data):
    """Number of ids in the data of a TransferBatch; None when it is malformed."""
    try:
        words = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
        if len(data) % 32 or words[0] % 32 or words[1] % 32:
            return None
        ids, values = words[0] // 32, words[1] // 32
        if words[ids] != words[values] or ids + words[ids] >= len(words) or values + words[values] >= len(words):
            return None
        return words[ids]
    except IndexError:
        return None


def kind_of(log):
    """Kind of event and how many events the log is."""
    topics, data = log["topics"], bytes.fromhex(log["data"][2:])
    if not topics:
        return None, 0
    shape = (topics[0], len(topics), len(data))
    if shape == (TRANSFER, 3, 32):
        return "transfer.erc20", 1
    if shape == (TRANSFER, 4, 0):
        return "transfer.erc721", 1
    if shape == (SINGLE, 4, 64):
        return "transfer.erc1155", 1
    if topics[0] == BATCH and len(topics) == 4 and batch_length(data) is not None:
        return "transfer.erc1155", batch_length(data)
    if shape in ((APPROVAL, 3, 32), (APPROVAL, 4, 0)):
        return "approval", 1
    if shape == (APPROVAL_FOR_ALL, 3, 32) and int.from_bytes(data, "big") < 2:
        return "approval", 1
    if topics[0] in (TRANSFER, SINGLE, BATCH, APPROVAL, APPROVAL_FOR_ALL):
        return "log", 1
    return None, 0


def status_of(receipt):
    """False for a failed transaction; before Byzantium nobody knows."""
    if len(receipt.get("root") or "") == 66:
        return None
    status = receipt.get("status")
    return None if status is None else int(status, 16) != 0


def count(block, receipts):
    counts = {}
    transfers = []
    receipt_of = {receipt["transactionHash"]: receipt for receipt in receipts}

    def add(kind, number=1):
        counts[kind] = counts.get(kind, 0) + number

    for transaction in block["transactions"]:
        receipt = receipt_of[transaction["hash"]]
        if status_of(receipt) is False:
            continue
        if transaction.get("to") is None:
            add("contract")
        elif int(transaction["value"], 16) > 0:
            add("transfer.native")
    for receipt in receipts:
        for log in receipt["logs"]:
            kind, number = kind_of(log)
            if number:
                add(kind, number)
            if kind == "transfer.erc20":
                transfers.append(int(log["logIndex"], 16))
    return {"hash": block["hash"], "counts": counts, "transfers": transfers}


def main():
    folder = pathlib.Path(sys.argv[1]) / "evm" / sys.argv[2]
    result = {}
    for path in sorted(folder.glob("*.receipts.json*")):
        number = path.name.split(".")[0]
        block = read(folder, number + ".block.json")
        result[number] = count(block, read(folder, number + ".receipts.json"))
    json.dump(result, sys.stdout)


main()
