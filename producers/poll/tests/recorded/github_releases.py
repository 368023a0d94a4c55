"""Values of a feed of releases of GitHub, read without the filters."""
from datetime import datetime

ATOM = "{http://www.w3.org/2005/Atom}"


def at_us(entry):
    text = entry.findtext(ATOM + "published") or entry.findtext(ATOM + "updated")
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) * 1_000_000


def link(entry):
    return next(link.get("href") for link in entry.findall(ATOM + "link") if link.get("rel") in (None, "alternate"))


RECORDED = {"releases-feed-rs": "github_atom/releases_atom.*.xml"}
PARAMETERS = {"releases-feed-rs": {"repositories": {"feed-rs": "feed-rs/feed-rs"}}}


def releases_feed_rs(answer):
    for entry in answer.findall(ATOM + "entry"):
        yield {
            "title": "feed-rs " + entry.findtext(ATOM + "title"),
            "link": link(entry),
            "author": entry.findtext(f"{ATOM}author/{ATOM}name"),
            "tags": ["release", "feed-rs"],
            "at_us": at_us(entry),
        }
