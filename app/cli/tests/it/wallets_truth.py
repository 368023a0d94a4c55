"""Transactions, transfers, balances and NFTs of wallets as the node itself says, against the rows that were stored.

Arguments: the node's URL, and a folder with `wallets.json` (addresses of wallets, tokens, collections, NFT ids) and the rows as
CSV. Prints what differs and fails if anything does. Standard library only; decodes everything by itself."""

import csv
import json
import pathlib
import sys
import urllib.request

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_SINGLE = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
NATIVE = "0x" + "00" * 20

URL, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
SETUP = json.loads((FOLDER / "wallets.json").read_text())
WALLETS = {wallet.lower() for wallet in SETUP["wallets"]}


def ask(method, *params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(URL, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        answer = json.load(answer)
    return answer.get("result") if "error" not in answer else None


def rows(name):
    with open(FOLDER / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def word(text, place):
    start = 2 + 64 * place
    return int(text[start : start + 64] or "0", 16)


def address(topic):
    return "0x" + topic[-40:]


def call(to, selector, *words, at):
    data = selector + "".join(f"{word:064x}" for word in words)
    answer = ask("eth_call", {"to": to, "data": data}, at)
    return int(answer, 16) if answer and len(answer) == 66 else None


def balance(wallet, token, at):
    if token == NATIVE:
        return int(ask("eth_getBalance", wallet, at), 16)
    return call(token, "0x70a08231", int(wallet, 16), at=at)


def paid_inside(trace):
    """Payments of nested calls: none of them, nor any call around them, failed."""
    failed = [one["traceAddress"] for one in trace if "error" in one]
    for one in trace:
        at = one["traceAddress"]
        if not at or any(at[: len(up)] == up for up in failed):
            continue
        action = one["action"]
        if one["type"] == "call" and action.get("callType") == "call" and int(action["value"], 16) > 0:
            yield one["transactionHash"], action["from"], action["to"], int(action["value"], 16)


def of_chain():
    found = {name: set() for name in ("transactions", "tokens", "native", "internal")}
    blocks = {}
    for number in range(int(ask("eth_blockNumber"), 16) + 1):
        block = ask("eth_getBlockByNumber", hex(number), True)
        blocks[number] = block["hash"]
        traces = {}
        for one in ask("trace_block", hex(number)) or []:
            traces.setdefault(one.get("transactionHash"), []).append(one)
        for sent in block["transactions"]:
            receipt = ask("eth_getTransactionReceipt", sent["hash"])
            succeeded, value = receipt["status"] == "0x1", int(sent["value"], 16)
            parties = {sent["from"], sent["to"], receipt["contractAddress"]}
            if parties & WALLETS:
                fee = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
                found["transactions"].add(
                    (sent["hash"], succeeded, int(sent["type"], 16), str(fee), receipt["contractAddress"] or "")
                )
            if succeeded and value > 0:
                payee = sent["to"] or receipt["contractAddress"]
                found["native"].add((sent["hash"], sent["from"], payee, str(value)))
            for paid in paid_inside(traces.get(sent["hash"], [])):
                found["internal"].add((*paid[:3], str(paid[3])))
            for log in receipt["logs"]:
                found["tokens"] |= set(transfer_of(log))
    return blocks, found


def transfer_of(log):
    topics, data = log["topics"], log["data"]
    place = (log["blockHash"], int(log["logIndex"], 16), log["address"])
    if topics[0] == TRANSFER and len(topics) == 3 and len(data) == 66:
        yield (*place, "erc20", address(topics[1]), address(topics[2]), "", str(word(data, 0)))
    elif topics[0] == TRANSFER and len(topics) == 4:
        yield (*place, "erc721", address(topics[1]), address(topics[2]), str(int(topics[3], 16)), "1")
    elif topics[0] == TRANSFER_SINGLE:
        yield (
            *place, "erc1155", address(topics[2]), address(topics[3]), str(word(data, 0)), str(word(data, 1)),
        )


def of_rows():
    return {
        "transactions": {
            (row["tx_hash"], row["succeeded"] == "t", int(row["tx_type"]), row["fee"], row["contract"])
            for row in rows("transactions")
        },
        "tokens": {
            (
                row["block_hash"], int(row["log_index"]), row["token"], row["standard"], row["sender"], row["recipient"],
                row["token_id"], row["value"],
            )
            for row in rows("tokens")
        },
        "native": {(row["tx_hash"], row["sender"], row["recipient"], row["value"]) for row in rows("native")},
        "internal": {(row["tx_hash"], row["sender"], row["recipient"], row["value"]) for row in rows("internal")},
    }


def differences():
    blocks, expected = of_chain()
    stored = of_rows()
    for name, wanted in expected.items():
        yield from (f"{name}: not stored: {one}" for one in wanted - stored[name])
        yield from (f"{name}: not on the chain: {one}" for one in stored[name] - wanted)
        if len(stored[name]) != len(rows(name)):
            yield f"{name}: a row is there twice"

    readings = rows("balances")
    of_chain_count = 0
    for row in readings:
        number, token, raw = int(row["block_number"]), row["token"], row["raw"]
        is_on_chain = blocks.get(number, "").endswith(row["block_tag"])
        if (row["canonical"] == "t") != is_on_chain:
            yield f"balance: canonical={row['canonical']} of block {number} {row['block_tag']}, the chain has {blocks.get(number)}"
        if not is_on_chain:
            continue
        of_chain_count += 1
        said = balance(row["address"], token, hex(number))
        if raw != ("" if said is None else str(said)):
            yield f"balance of {row['address']} of {token} at {number}: stored {raw}, the node says {said}"

    newest = {(row["address"], row["token"]): row["raw"] for row in rows("newest")}
    for wallet in WALLETS:
        for token in [NATIVE, *SETUP["tokens"]]:
            said = balance(wallet, token.lower(), "latest")
            known = newest.pop((wallet, token.lower()), None)
            if known is None and said == 0:
                continue
            if known != ("" if said is None else str(said)):
                yield f"newest balance of {wallet} of {token}: stored {known}, the node says {said}"
    yield from (f"newest: no wallet has {key}: {raw}" for key, raw in newest.items() if raw != "0")

    nfts = {(row["wallet"], row["token"], int(row["token_id"])): int(row["amount"]) for row in rows("nfts")}
    held = {}
    for collection in map(str.lower, SETUP["collections"]):
        for number in SETUP["unique"]:
            owner = f"0x{call(collection, '0x6352211e', number, at='latest'):040x}"
            if owner in WALLETS:
                held[owner, collection, number] = 1
        for number in SETUP["items"]:
            for wallet in WALLETS:
                amount = call(collection, "0x00fdd58e", int(wallet, 16), number, at="latest")
                if amount:
                    held[wallet, collection, number] = amount
    if held != nfts:
        yield f"NFTs: stored {nfts}, the node says {held}"
    print(
        json.dumps({
            "blocks": len(blocks),
            "balances": len(readings),
            "on_chain": of_chain_count,
            "nfts": len(held),
            **{name: len(wanted) for name, wanted in expected.items()},
        })
    )


found = list(differences())
for line in found[:40]:
    print(line, file=sys.stderr)
sys.exit(1 if found else 0)
