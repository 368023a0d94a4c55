"""Recorded lists of explorers, read without our code: for each file its rows, or why it has none."""

import glob
import json
import os
import sys

ACTIONS = ["txlist", "txlistinternal", "tokentx", "tokennfttx", "token1155tx"]


def row(action, entry):
    number = int(entry["blockNumber"])
    if number == 0:
        return [0, None, ["other"]]
    block_hash = (entry.get("blockHash") or "").lower() or None
    if action == "txlist":
        what = ["transaction", entry["hash"].lower()]
    elif action == "txlistinternal":
        paid = int(entry["value"]) > 0 and entry["isError"] == "0"
        to = entry["to"] or entry["contractAddress"]
        what = ["payment", entry["from"].lower(), to.lower(), entry["value"]] if paid else ["other"]
    else:
        what = ["token", entry["hash"].lower(), entry["contractAddress"].lower()]
    return [number, block_hash, what]


def told(path):
    action = os.path.basename(path).split(".")[0].removeprefix("account_")
    with open(path, encoding="utf-8") as file:
        answer = json.load(file)
    if answer["status"] == "2":
        return [path, "wait"]
    if answer["status"] == "0" and not answer["message"].startswith("No "):
        return [path, "refused"]
    rows = [row(action, entry) for entry in answer["result"]]
    key = lambda one: json.dumps(one, separators=(",", ":"))
    return [path, sorted(rows, key=key)]


paths = []
for explorer in ["etherscan", "blockscout", "routescan"]:
    for action in ACTIONS:
        paths += glob.glob(os.path.join(sys.argv[1], explorer, f"account_{action}.*"))
print(json.dumps([told(path) for path in sorted(paths)]))
