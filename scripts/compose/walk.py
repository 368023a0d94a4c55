#!/usr/bin/env python3
"""Starts compose.yaml with a chain beside it and tries it as an operator would: walk.py FOLDER

Every service but Grafana is started with exactly its mounts, users, secrets and health checks, restarted once, and
killed once. At the end the tables hold what the chain says, each large transfer was told in both chats, and nothing is
left behind. Exit code 0: all of it held.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ROLES = ["evm", "poll", "persist", "alerts", "notify", "api"]
SERVERS = ["nats", "timescaledb", "prometheus", "alertmanager"]
OUTSIDE = ["anvil", "services", "traffic"]
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
WHALE = 1_000_000_000_000
# Of the event's alert, in words: `log 3 of 0x…`.
TOLD = re.compile(r"log (\d+) of (0x[0-9a-f]{64})")
REPEAT = "possible repeat"


def say(text):
    print(f"compose-test: {time.strftime('%H:%M:%S')} {text}", flush=True)


class Failed(Exception):
    pass


class Deployment:
    def __init__(self, folder):
        self.folder = folder

    def prepare(self):
        """A copy of what a checkout gives an operator, with this test's configuration in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        shutil.copy(ROOT / "compose.yaml", self.folder)
        shutil.copytree(ROOT / "deploy", self.folder / "deploy", ignore=shutil.ignore_patterns("secrets"))
        (self.folder / "nats").mkdir()
        shutil.copy(ROOT / "nats" / "server.conf", self.folder / "nats")
        subprocess.run([self.folder / "deploy" / "secrets.sh"], check=True, stdout=subprocess.DEVNULL)
        secrets = self.folder / "deploy" / "secrets"
        for name, text in [
            ("telegram_token", "100:compose"),
            ("discord_webhook", "http://services:8081/api/webhooks/1/compose"),
        ]:
            (secrets / name).write_text(text)
            (secrets / name).chmod(0o444)
        config = self.folder / "deploy" / "config"
        for rule in (config / "rules").iterdir():
            rule.unlink()
        shutil.copy(HERE / "rules.toml", config / "rules")
        shutil.copy(HERE / "crypto-intel.toml", config)
        shutil.copy(HERE / "assets.toml", config)
        shutil.copy(HERE / "compose.override.yaml", self.folder)

    def compose(self, *arguments, check=True, timeout=300):
        command = ["docker", "compose", "--ansi", "never", "--profile", "chat", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise Failed(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        # Compose erases a line of progress that was never there.
        return done.stdout.replace("\x1b[2K", "")

    def states(self):
        """Of each service: its state, with the health check's word where it has one."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        services = [json.loads(line) for line in lines if line.strip()]
        return {one["Service"]: one["Health"] or f"{one['State']} {one['ExitCode']}" for one in services}

    def wait_healthy(self, what, seconds=180):
        wanted = {name: "healthy" for name in ROLES + SERVERS}
        wanted["setup"] = "exited 0"
        began = time.monotonic()
        while True:
            states = self.states()
            bad = {name: states.get(name, "absent") for name, state in wanted.items() if states.get(name) != state}
            if not bad:
                say(f"{what}: everything is healthy after {time.monotonic() - began:.0f} s")
                return
            if time.monotonic() - began > seconds:
                for name in bad:
                    print(self.compose("logs", "--tail", "15", name, check=False), file=sys.stderr)
                raise Failed(f"{what}: not healthy after {seconds} s: {bad}")
            time.sleep(1)

    def errors(self):
        """Lines that say that a human must act."""
        text = self.compose("logs", "--no-color", *ROLES, "setup")
        return [line for line in text.splitlines() if '"level":"ERROR"' in line or " panicked at " in line]

    def port(self, service, port):
        return self.compose("port", service, str(port)).strip().rsplit(":", 1)[1]

    def url(self, service, port, path=""):
        return f"http://127.0.0.1:{self.port(service, port)}{path}"

    def kill(self, service):
        """As a crash would: the engine is not asked, so the restart policy has to act."""
        container = self.compose("ps", "--quiet", service).strip()
        pid = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Pid}}", container], capture_output=True, text=True, check=True
        )
        os.kill(int(pid.stdout), 9)

    def rows(self, query):
        arguments = ["exec", "-T", "timescaledb", "psql", "-U", "crypto_intel", "-d", "crypto_intel", "-Atc", query]
        return self.compose(*arguments).splitlines()

    def chat(self):
        """What the chats accepted, and the rules that were broken."""
        lines = self.compose("logs", "--no-color", "--no-log-prefix", "services").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def rpc(url, method, parameters):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer = json.load(answer)
    if "error" in answer:
        raise Failed(f"{method}: {answer['error']}")
    return answer["result"]


def eventually(what, seconds, probe):
    """Until the probe returns nothing that is missing."""
    began = time.monotonic()
    while True:
        missing = probe()
        if not missing:
            say(f"{what} ({time.monotonic() - began:.0f} s)")
            return
        if time.monotonic() - began > seconds:
            raise Failed(f"not after {seconds} s: {what}: {missing}")
        time.sleep(1)


def whales_told(deployment):
    told = {"Telegram": {}, "Discord": {}}
    for message in deployment.chat():
        for log_index, transaction in TOLD.findall(message.get("text", "")):
            unmarked = REPEAT not in message["text"]
            told[message["service"]].setdefault((transaction, int(log_index)), []).append(unmarked)
    return told


def targets_down(deployment):
    url = deployment.url("prometheus", 9090, "/api/v1/targets")
    with urllib.request.urlopen(url, timeout=10) as answer:
        targets = json.load(answer)["data"]["activeTargets"]
    if len(targets) < len(ROLES):
        return f"{len(targets)} targets"
    return [target["scrapeUrl"] for target in targets if target["health"] != "up"]


def compare(deployment):
    """What the chain says against what is stored and what was told."""
    node = deployment.url("anvil", 8545)
    eventually("every transaction is in a block", 30, lambda: int(rpc(node, "txpool_status", [])["pending"], 16))
    head = rpc(node, "eth_getBlockByNumber", ["latest", False])
    logs = rpc(node, "eth_getLogs", [{"fromBlock": "0x0", "toBlock": head["number"], "topics": [TRANSFER]}])
    chain = {f"{log['blockHash'][2:]}:{int(log['logIndex'], 16)}:{int(log['data'], 16)}" for log in logs}
    query = "SELECT encode(block_hash, 'hex') || ':' || log_index || ':' || value FROM v_token_transfers"

    def stored():
        rows = deployment.rows(query)
        missing, strange, twice = chain - set(rows), set(rows) - chain, len(rows) - len(set(rows))
        if missing or strange or twice:
            return f"{len(missing)} missing, {len(strange)} strange, {twice} twice, of {len(chain)}"
        return None

    eventually(f"the table has the {len(chain)} transfers of the chain and no others", 120, stored)

    whales = {
        (log["transactionHash"], int(log["logIndex"], 16))
        for log in logs
        if int(log["data"], 16) >= WHALE and int(log["topics"][1], 16) != 0
    }

    def told():
        return {
            service: len(whales - set(messages))
            for service, messages in whales_told(deployment).items()
            if whales - set(messages)
        }

    eventually(f"both chats were told of the {len(whales)} large transfers", 120, told)
    for service, messages in whales_told(deployment).items():
        strange = set(messages) - whales
        twice = {key for key, unmarked in messages.items() if sum(unmarked) > 1}
        if strange or twice:
            raise Failed(f"{service}: told what did not happen: {strange}; told twice, unmarked: {twice}")
    violations = [line for line in deployment.chat() if "violation" in line]
    if violations:
        raise Failed(f"the chats' rules were broken: {violations}")


def walk(deployment):
    deployment.prepare()
    deployment.compose("down", "--volumes", "--remove-orphans")
    deployment.compose("up", "--detach", "--no-build", *ROLES, *SERVERS, "setup", *OUTSIDE, timeout=600)
    deployment.wait_healthy("first start")
    eventually("rows are stored", 60, lambda: not deployment.rows("SELECT 1 FROM token_transfers LIMIT 1"))
    eventually(
        "both chats heard of a large transfer", 90, lambda: [k for k, v in whales_told(deployment).items() if not v]
    )
    eventually("Prometheus reads every role", 60, lambda: targets_down(deployment))
    if errors := deployment.errors():
        raise Failed("a healthy start logs errors:\n" + "\n".join(errors[:10]))
    say("a healthy start logs no error")

    # The roles last: their fixes must not depend on a new start of the servers.
    for service in SERVERS + ROLES:
        deployment.compose("restart", service)
        deployment.wait_healthy(f"{service} restarted")
    for service in SERVERS + ROLES:
        deployment.kill(service)
        deployment.wait_healthy(f"{service} killed")

    deployment.compose("stop", "traffic")
    compare(deployment)
    say("errors while servers were away, for the record: " + str(len(deployment.errors())))
    if panics := [line for line in deployment.errors() if " panicked at " in line]:
        raise Failed("\n".join(panics))

    deployment.compose("down", "--volumes")
    for kind in ["ps --all --quiet", "volume ls --quiet"]:
        left = subprocess.run(["docker", *kind.split()], capture_output=True, text=True, check=True).stdout.split()
        if left:
            raise Failed(f"`down --volumes` leaves {left}")
    say("nothing is left; passed")


def main():
    deployment = Deployment(pathlib.Path(sys.argv[1]).resolve())
    try:
        walk(deployment)
    except (Failed, subprocess.SubprocessError, OSError) as error:
        print(f"compose-test: FAILED: {error}", file=sys.stderr)
        print("\n".join(deployment.errors()[-20:]), file=sys.stderr)
        deployment.compose("down", "--volumes", "--remove-orphans", check=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
