"""Prints ERC-20 transfers of all chains. Needs: pip install nats-py msgpack

Usage: NATS_USER=reader NATS_PASSWORD=… python python_transfers.py [NATS_URL [HOW_MANY]]
"""
import asyncio, os, sys
import msgpack, nats

async def main(url="nats://127.0.0.1:4222", how_many="0"):
    user, password = os.environ.get("NATS_USER"), os.environ.get("NATS_PASSWORD")
    client = await nats.connect(url, user=user, password=password, inbox_prefix="_INBOX_reader")
    transfers = await client.jetstream().subscribe("evm.*.transfer.erc20", stream="EVM", ordered_consumer=True)
    seen = 0
    async for message in transfers.messages:
        event = msgpack.unpackb(message.data)
        amount = event.get("amount") or int.from_bytes(event["value"], "big")  # uint256: 32 bytes, big-endian
        token = event.get("symbol") or "0x" + event["address"].hex()
        print("undone" if event["removed"] else "done", event["chain"], event["block_number"], amount, token,
              "from 0x" + event["from"].hex(), "to 0x" + event["to"].hex(), flush=True)
        seen += 1
        if seen == int(how_many):  # 0: without a limit
            break
    await client.close()

asyncio.run(main(*sys.argv[1:]))
