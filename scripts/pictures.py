#!/usr/bin/env python3
"""Makes docs/pictures/<channel>.png of docs/pictures/messages.json, which a test keeps as what is really sent.

Each picture shows the messages in the plain look of their service; fonts and spacing are only near it. Needs
chromium-headless-shell (of Debian, with fonts-noto-color-emoji) or the program that CHROMIUM names.
"""
import html
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "docs/pictures"
MAX_BYTES = 60_000
WIDTH = 560

STYLE = """
* { box-sizing: border-box; margin: 0; }
body { font: 13px/1.45 'DejaVu Sans', 'Noto Color Emoji', sans-serif; padding: 14px; width: %dpx; }
a { color: inherit; }
.telegram { background: #d5e3d0; } .telegram a { color: #2f7cc0; text-decoration: none; }
.bubble { background: #fff; border-radius: 10px; padding: 8px 12px; margin-bottom: 4px; white-space: pre-wrap; }
.buttons { display: flex; gap: 4px; margin-bottom: 10px; }
.buttons span { flex: 1; text-align: center; background: #8aa886; color: #fff; border-radius: 6px; padding: 5px; }
.discord { background: #313338; color: #dbdee1; } .discord a { color: #00a8fc; text-decoration: none; }
.line { white-space: pre-wrap; margin-bottom: 6px; } .author { color: #f2f3f5; font-weight: bold; margin-bottom: 2px; }
.embed { background: #2b2d31; border-left: 4px solid; border-radius: 4px; padding: 10px 12px; margin-bottom: 14px; }
.embed .text { white-space: pre-wrap; } .fields { display: flex; gap: 40px; margin-top: 8px; }
.fields b { display: block; } .foot { color: #949ba4; font-size: 12px; margin-top: 8px; }
.slack { background: #fff; color: #1d1c1d; } .slack a { color: #1264a3; text-decoration: none; }
.header { font-weight: bold; font-size: 16px; } .section { white-space: pre-wrap; margin-top: 6px; }
.context { color: #616061; font-size: 12px; margin-top: 6px; }
.ntfy { background: #f4f4f4; } .card { background: #fff; border-radius: 6px; padding: 12px; box-shadow: 0 1px 3px #999; }
.card .title { font-weight: bold; margin-bottom: 4px; } .card .text { white-space: pre-wrap; overflow-wrap: anywhere; }
.grey { color: #777; font-size: 12px; margin-bottom: 4px; }
.email { background: #fff; } .subject { font-weight: bold; font-size: 16px; border-bottom: 1px solid #ddd; padding-bottom: 8px; margin-bottom: 10px; }
.pagerduty { background: #f3f3f3; } .urgent { color: #c0392b; font-weight: bold; }
.pagerduty table { margin-top: 8px; } .pagerduty td { padding: 1px 14px 1px 0; vertical-align: top; }
""" % WIDTH


def telegram(body):
    shown = f'<div class="bubble">{body["text"]}</div>'
    for row in body.get("reply_markup", {}).get("inline_keyboard", []):
        buttons = "".join(f"<span>{html.escape(button['text'])}</span>" for button in row)
        shown += f'<div class="buttons">{buttons}</div>'
    return shown if "buttons" in shown else shown + '<div style="height: 8px"></div>'


def markdown(text):
    """The few marks that we send: bold, masked links, and backslashes before what is literal."""
    shown, rest = "", text
    pattern = re.compile(r"\\(.)|\*\*(.+?)(?<!\\)\*\*|\[((?:\\.|[^\]])*)\]\(<([^>]*)>\)", re.DOTALL)
    while match := pattern.search(rest):
        shown += html.escape(rest[: match.start()])
        if match[1]:
            shown += html.escape(match[1])
        elif match[2]:
            shown += f"<b>{markdown(match[2])}</b>"
        else:
            shown += f'<a href="{html.escape(match[4])}">{markdown(match[3])}</a>'
        rest = rest[match.end():]
    return shown + html.escape(rest)


def discord(body):
    shown = f'<div class="author">crypto-intel</div><div class="line">{markdown(body["content"])}</div>'
    for embed in body["embeds"]:
        fields = "".join(
            f"<span><b>{markdown(field['name'])}</b>{markdown(field['value'])}</span>" for field in embed.get("fields", [])
        )
        foot = html.escape(embed["footer"]["text"])
        if "timestamp" in embed:
            foot += " • " + html.escape(embed["timestamp"][:16].replace("T", " "))
        shown += (
            f'<div class="embed" style="border-color: #{embed["color"]:06x}">'
            f'<div class="text">{markdown(embed.get("description", ""))}</div>'
            f'<div class="fields">{fields}</div><div class="foot">{foot}</div></div>'
        )
    return shown


def slack_text(text):
    if text["type"] != "mrkdwn":
        return html.escape(text["text"])
    return re.sub(r"<([^|>]*)\|([^>]*)>", r'<a href="\1">\2</a>', text["text"])


def slack(body):
    shown = '<div class="author" style="color: #1d1c1d">crypto-intel</div>'
    for block in body["blocks"]:
        texts = block["elements"] if block["type"] == "context" else [block["text"]]
        shown += "".join(f'<div class="{block["type"]}">{slack_text(text)}</div>' for text in texts)
    return shown


def ntfy(body):
    priority = f'<div class="grey">priority {body["priority"]}</div>'
    return (
        f'<div class="card">{priority}<div class="title">{html.escape(body["title"])}</div>'
        f'<div class="text">{html.escape(body["message"])}</div></div>'
    )


def email(body):
    return f'<div class="subject">{html.escape(body["subject"])}</div>{body["html"]}'


def pagerduty(body):
    payload = body["payload"]
    details = payload["custom_details"]
    rows = [("source", payload["source"]), ("severity", payload["severity"]), ("class", payload["class"])]
    rows += [("code", details["code"])] + list(details["labels"].items())
    table = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>" for name, value in rows)
    text = "<br>".join(html.escape(line) for line in details["text"])
    return (
        f'<div class="card"><div class="urgent">TRIGGERED</div><div class="title">{html.escape(payload["summary"])}</div>'
        f'<div class="text">{text}</div><table>{table}</table></div>'
    )


CHANNELS = {
    "telegram": telegram, "discord": discord, "slack": slack, "ntfy": ntfy, "email": email, "pagerduty": pagerduty,
}


def shoot(program, page, height, target):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "page.html"
        source.write_text(page)
        command = [
            program, "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile",
            f"--window-size={WIDTH},{height}", f"--screenshot={target}", source.as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


def height_of(program, page):
    """How high the page is: it says so itself, in its title."""
    script = "<script>document.title = document.body.scrollHeight;</script>"
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "page.html"
        source.write_text(page + script)
        command = [
            program, "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile",
            f"--window-size={WIDTH},100", "--dump-dom", source.as_uri(),
        ]
        dom = subprocess.run(command, check=True, capture_output=True, timeout=60, text=True).stdout
    return int(re.search(r"<title>(\d+)</title>", dom)[1])


def main():
    program = os.environ.get("CHROMIUM", "chromium-headless-shell")
    messages = json.loads((FOLDER / "messages.json").read_text())
    for name, render in CHANNELS.items():
        bodies = [message["body"] for message in messages if message["channel"] == name]
        shown = "".join(render(body) for body in bodies)
        page = (
            f'<!doctype html><html><head><meta charset="utf-8"><title></title><style>{STYLE}</style></head>'
            f'<body class="{name}">{shown}</body></html>'
        )
        target = FOLDER / f"{name}.png"
        shoot(program, page, height_of(program, page), target)
        size = target.stat().st_size
        print(f"{target.name}: {size:,} bytes")
        if size > MAX_BYTES:
            sys.exit(f"{target.name} is larger than {MAX_BYTES:,} bytes")


if __name__ == "__main__":
    main()
