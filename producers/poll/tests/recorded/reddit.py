"""Values of feeds of Reddit, read without the filters."""
from datetime import datetime

ATOM = "{http://www.w3.org/2005/Atom}"


def at_us(entry):
    text = entry.findtext(ATOM + "published") or entry.findtext(ATOM + "updated")
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) * 1_000_000


def link(entry):
    return next(link.get("href") for link in entry.findall(ATOM + "link") if link.get("rel") in (None, "alternate"))


# Of other subreddits than those that are asked for; the form is the same.
RECORDED = {"posts-bitcoin": ["reddit/subreddit_atom.*.xml", "reddit/subreddit_rss.*.xml"]}


def posts_bitcoin(answer):
    for entry in answer.findall(ATOM + "entry"):
        labels = {category.get("label").lower() for category in entry.findall(ATOM + "category")}
        yield {
            "title": " ".join(entry.findtext(ATOM + "title").split()),
            "link": link(entry),
            "author": entry.findtext(f"{ATOM}author/{ATOM}name"),
            "publisher": "Reddit",
            "tags": sorted(labels | {"social"}),
            "at_us": at_us(entry),
        }
