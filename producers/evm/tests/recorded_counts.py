"""Counts the events that a block should have, from its block and receipts JSON alone.

usage: recorded_counts.py DATA_FOLDER CHAIN
       recorded_counts.py DATA_FOLDER logs FOLDER…
Prints one JSON object: block number -> counts by kind, counts of DEX events and built-in ABIs by protocol and action,
and the ERC-20 transfers' log indexes.
With "logs": of every log in every file below the folders, counts by kind and by protocol and action together.
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

SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"
SWAP_V2 = "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"
MINT_V2 = "0x4c209b5fc8ad50758f13e2e1088ba56a560dff690a1c6fef26394f4c03821c4f"
BURN_V2 = "0xdccd412f0b1252819cb1fd330b93224ca42612892bb3f4f789976e6d81936496"
PAIR_CREATED = "0x0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9"
SWAP_V3 = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"
SWAP_PANCAKE_V3 = "0x19b47279256b2a23a1665c810c8d55a1758940ee09377d4f8d26497a3577dc83"
MINT_V3 = "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde"
BURN_V3 = "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c"
COLLECT_V3 = "0x70935338e69775456a85ddef226c395fb668b63fa0115f5f20610b388e6ca9c0"
INITIALIZE_V3 = "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95"
POOL_CREATED = "0x783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118"
SWAP_V4 = "0x40e9cecb9f5f1f1c5b9c97dec2917b7ee92e57ba5563708daca94dd84ad7112f"
MODIFY_V4 = "0xf208f4912782fd25c7f114ca3723a2d5dd6f3bcc3ac8db5af63baa85f711d5ec"
INITIALIZE_V4 = "0xdd466e674ea557f56295e2d0218a125ea4b4f0f6f3307b95f85e6110838d6438"
DEPOSIT = "0xe1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c"
WITHDRAWAL = "0x7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65"
ANSWER_UPDATED = "0x0559884fd3a460db3073b7fc896cc77986f16e378210ded43186175bf646fc5f"

# Kind, protocol or ABI, action or name, number of topics, words of data: i and u with their bits, * for any.
FORMS = {
    SYNC: ("liquidity", "uniswap-v2", "sync", 1, "u112 u112"),
    SWAP_V2: ("swap", "uniswap-v2", "swap", 3, "u255 u255 u255 u255"),
    MINT_V2: ("liquidity", "uniswap-v2", "mint", 2, "* *"),
    BURN_V2: ("liquidity", "uniswap-v2", "burn", 3, "* *"),
    PAIR_CREATED: ("liquidity", "uniswap-v2", "pool_created", 3, "* *"),
    SWAP_V3: ("swap", "uniswap-v3", "swap", 3, "* * u160 u128 i24"),
    SWAP_PANCAKE_V3: ("swap", "pancake-v3", "swap", 3, "* * u160 u128 i24 u128 u128"),
    MINT_V3: ("liquidity", "uniswap-v3", "mint", 4, "* u128 * *"),
    BURN_V3: ("liquidity", "uniswap-v3", "burn", 4, "u128 * *"),
    COLLECT_V3: ("liquidity", "uniswap-v3", "collect", 4, "* * *"),
    INITIALIZE_V3: ("liquidity", "uniswap-v3", "initialize", 1, "u160 i24"),
    POOL_CREATED: ("liquidity", "uniswap-v3", "pool_created", 4, "i24 *"),
    SWAP_V4: ("swap", "uniswap-v4", "swap", 3, "i128 i128 u160 u128 i24 u24"),
    MODIFY_V4: ("liquidity", "uniswap-v4", "modify", 3, "i24 i24 * *"),
    INITIALIZE_V4: ("liquidity", "uniswap-v4", "initialize", 4, "u24 i24 * u160 i24"),
    DEPOSIT: ("event", "weth", "Deposit", 2, "*"),
    WITHDRAWAL: ("event", "weth", "Withdrawal", 2, "*"),
    ANSWER_UPDATED: ("event", "chainlink", "AnswerUpdated", 3, "*"),
}


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


def fits(word, form):
    """Whether a word holds a number of that type."""
    if form == "*":
        return True
    bits = int(form[1:])
    if form[0] == "u":
        return word < 1 << bits
    signed = word - (1 << 256) if word >> 255 else word
    return -(1 << bits - 1) <= signed < 1 << bits - 1


def form_of(log):
    """Kind, protocol and action of a DEX event or a built-in ABI's, as text; None when it has another form."""
    topics, data = log["topics"], bytes.fromhex(log["data"][2:])
    kind, protocol, action, topic_count, words = FORMS[topics[0]]
    forms = words.split()
    if len(topics) != topic_count or len(data) != 32 * len(forms):
        return None
    values = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
    if not all(map(fits, values, forms)):
        return None
    return kind, f"{protocol} {action}"


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
    if topics[0] in FORMS:
        form = form_of(log)
        return (form[0], 1) if form else ("log", 1)
    if topics[0] in (TRANSFER, SINGLE, BATCH, APPROVAL, APPROVAL_FOR_ALL):
        return "log", 1
    return None, 0


def status_of(receipt):
    """False for a failed transaction; None before Byzantium, when it is unknown."""
    if len(receipt.get("root") or "") == 66:
        return None
    status = receipt.get("status")
    return None if status is None else int(status, 16) != 0


def count(block, receipts):
    counts = {}
    forms = {}
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
        if int(transaction["value"], 16) > 0:
            add("transfer.native")
    for receipt in receipts:
        for log in receipt["logs"]:
            kind, number = kind_of(log)
            if number:
                add(kind, number)
            form = form_of(log) if log["topics"] and log["topics"][0] in FORMS else None
            if form:
                forms[form[1]] = forms.get(form[1], 0) + 1
            if kind == "transfer.erc20":
                transfers.append(int(log["logIndex"], 16))
    return {"hash": block["hash"], "counts": counts, "forms": forms, "transfers": transfers}


def logs_in(value):
    """Every log in a JSON value, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from logs_in(item)
    elif isinstance(value, dict):
        if "topics" in value and "data" in value and "logIndex" in value:
            yield value
        else:
            for item in value.values():
                yield from logs_in(item)


def count_logs(data, folders):
    counts, forms = {}, {}
    for path in sorted(path for folder in folders for path in (data / folder).rglob("*.json*")):
        if ".block.json" in path.name:
            continue
        packed = path.read_bytes()
        text = gzip.decompress(packed) if path.suffix == ".gz" else packed
        for log in logs_in(json.loads(text)):
            kind, number = kind_of(log)
            if number:
                counts[kind] = counts.get(kind, 0) + number
            form = form_of(log) if log["topics"] and log["topics"][0] in FORMS else None
            if form:
                forms[form[1]] = forms.get(form[1], 0) + 1
    return {"counts": counts, "forms": forms}


def main():
    if sys.argv[2] == "logs":
        return json.dump(count_logs(pathlib.Path(sys.argv[1]), sys.argv[3:]), sys.stdout)
    folder = pathlib.Path(sys.argv[1]) / "evm" / sys.argv[2]
    result = {}
    for path in sorted(folder.glob("*.receipts.json*")):
        number = path.name.split(".")[0]
        block = read(folder, number + ".block.json")
        result[number] = count(block, read(folder, number + ".receipts.json"))
    json.dump(result, sys.stdout)


main()
