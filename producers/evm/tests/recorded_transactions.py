"""Transactions of recorded blocks with their fees, from the JSON of blocks and receipts alone.

usage: recorded_transactions.py DATA_FOLDER CHAIN
Prints one JSON object: block number -> transaction hash -> the fields of its event. Shares no code with the producer, so
that an error of one is not an error of the other.
"""

import gzip
import json
import pathlib
import sys

# Chains on which every transaction pays for data on Ethereum beside its gas: where receipts do not say how much, the fee
# is not known.
WITH_L1_FEE = ("base", "optimism", "scroll")
ZERO = "0x" + "0" * 40
DEPOSIT = 0x7E
BYZANTIUM = {"ethereum": 4_370_000, "ropsten": 1_700_000}


def read(folder, name):
    plain = folder / name
    if plain.exists():
        return json.loads(plain.read_text())
    packed = folder / (name + ".gz")
    if not packed.exists():
        return None
    with gzip.open(packed) as text:
        return json.load(text)


def number(text):
    return None if text in (None, "", "0x") else int(text, 16)


def whole(wei):
    """Wei in ether, exact."""
    units, rest = divmod(wei, 10**18)
    fraction = f"{rest:018}".rstrip("0")
    return f"{units}.{fraction}" if fraction else str(units)


def text(value):
    return None if value is None else str(value)


def price_of(kind, block, transaction, receipt):
    said = number(receipt.get("effectiveGasPrice"))
    if kind in (0, 1):
        limit = number(transaction["gasPrice"])
        own = limit
    elif kind in (2, 3, 4):
        limit = number(transaction["maxFeePerGas"])
        own = min(limit, number(block["baseFeePerGas"]) + number(transaction["maxPriorityFeePerGas"]))
    else:
        return said
    assert said is None or said <= limit
    return own if said is None else said


def fee_of(chain, kind, fields):
    if kind == DEPOSIT:
        return 0
    fee = fields["gas_used"] * fields["price"]
    if fields["blobs"]:
        if fields["blob_price"] is None:
            return None
        fee += fields["blobs"] * 131_072 * fields["blob_price"]
    if fields["l1_fee"] is None and chain.startswith(WITH_L1_FEE):
        return None
    return fee + (fields["l1_fee"] or 0)


def status_of(chain, block, receipt):
    if number(block["number"]) < BYZANTIUM.get(chain, 0):
        return "unknown"
    return {0: "failed", 1: "success", None: "unknown"}[number(receipt.get("status"))]


def event(chain, block, index, transaction, receipt, gas_used):
    kind = number(transaction.get("type")) or 0
    data = transaction["input"][2:]
    blobs = len(transaction.get("blobVersionedHashes") or [])
    authorizations = transaction.get("authorizationList") or []
    delegates = []
    for one in authorizations:
        address = one["address"].lower()
        if address != ZERO and address not in delegates:
            delegates.append(address)
    price = price_of(kind, block, transaction, receipt)
    l1_fee, blob_price = number(receipt.get("l1Fee")), number(receipt.get("blobGasPrice"))
    parts = {"gas_used": gas_used, "price": price, "blobs": blobs, "blob_price": blob_price, "l1_fee": l1_fee}
    fee = fee_of(chain, kind, parts)
    created = (receipt.get("contractAddress") or ZERO).lower()
    value = number(transaction["value"])
    fields = {
        "tx_index": index,
        "tx_from": transaction["from"].lower(),
        "tx_to": transaction["to"].lower() if transaction.get("to") else None,
        "method": "0x" + data[:8] if len(data) >= 8 else None,
        "nonce": number(transaction.get("nonce")),
        "tx_type": kind,
        "contract": created if created != ZERO else None,
        "value": str(value),
        "amount": whole(value),
        "input_length": len(data) // 2,
        "gas_limit": number(transaction["gas"]),
        "gas_used": gas_used,
        "gas_used_for_l1": number(receipt.get("gasUsedForL1")),
        "effective_gas_price": text(price),
        "max_fee_per_gas": text(number(transaction.get("maxFeePerGas"))),
        "max_priority_fee_per_gas": text(number(transaction.get("maxPriorityFeePerGas"))),
        "l1_fee": text(l1_fee),
        "blob_count": blobs or None,
        "blob_gas_used": blobs * 131_072 or None,
        "blob_gas_price": text(blob_price) if blobs else None,
        "fee": text(fee),
        "fee_amount": None if fee is None else whole(fee),
        "authorizations": len(authorizations) or None,
        "delegated_to": delegates[:8] or None,
        "status": status_of(chain, block, receipt),
    }
    return {name: value for name, value in fields.items() if value is not None}


def events_of(chain, block, receipts):
    found, used_before = {}, 0
    for index, (transaction, receipt) in enumerate(zip(block["transactions"], receipts)):
        # Polygon's record of state sync is no transaction.
        if transaction["from"] == transaction["to"] == ZERO and number(transaction["gas"]) == 0:
            continue
        used = number(receipt["cumulativeGasUsed"])
        assert used - used_before == number(receipt["gasUsed"])
        found[transaction["hash"]] = event(chain, block, index, transaction, receipt, used - used_before)
        used_before = used
    return found


def main():
    folder = pathlib.Path(sys.argv[1]) / "evm" / sys.argv[2]
    blocks = {}
    for path in folder.glob("*.block.json*"):
        height = path.name.split(".")[0]
        receipts = read(folder, f"{height}.receipts.json")
        if receipts is not None:
            blocks[height] = events_of(sys.argv[2], read(folder, f"{height}.block.json"), receipts)
    json.dump(blocks, sys.stdout)


main()
