"""Prints large transfers as they happen, over the API's websocket; goes on where it was when it is cut off.
Needs: pip install websockets

Usage: API_KEY=ci_… python python_live.py [WS_URL [HOW_MANY]]
"""
import asyncio, json, os, sys
import websockets

async def main(url="ws://127.0.0.1:8420/ws", how_many="0"):
    key, resume, seen = os.environ.get("API_KEY"), None, set()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async for socket in websockets.connect(url, additional_headers=headers):  # connects again, with a pause
        try:
            wish = {"action": "subscribe", "id": "large", "service": "onchain", "min_usd": "100000"}
            await socket.send(json.dumps(wish | ({"resume": resume} if resume else {"snapshot": 10})))
            async for text in socket:
                message = json.loads(text)
                match message["type"]:
                    case "events" | "snapshot":
                        for event in message["events"]:
                            identity = event["id"], event.get("incarnation")
                            if identity in seen:  # nothing is missing after a resume; something may come twice
                                continue
                            seen.add(identity)
                            print("undone" if event.get("removed") else "done", event["chain"], event["block_number"],
                                  event.get("amount"), event.get("symbol"), f"${event['usd']}", flush=True)
                        resume = message["resume"]
                    case "gap":
                        print("missed", message["stream"], message.get("from"), message.get("to"), message["reason"],
                              message.get("get", ""), file=sys.stderr)
                        resume = message["resume"]
                    case "heartbeat":
                        resume = message["resume"]
                    case "error":
                        sys.exit(message["problem"]["detail"])
                if 0 < int(how_many) <= len(seen):
                    return
        except websockets.ConnectionClosed:
            continue

asyncio.run(main(*sys.argv[1:]))
