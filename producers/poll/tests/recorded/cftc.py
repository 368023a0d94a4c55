"""Values of the CFTC's feed, read without the filters."""
from email.utils import parsedate_to_datetime

RECORDED = {"press-releases": "cftc/rss_general_press.*.xml", "enforcement": "cftc/rss_enforcement.*.xml"}


def items(channel, tags):
    for item in channel.iter("item"):
        yield {
            "title": " ".join(item.findtext("title").split()),
            # Events have the link in its canonical form, without utm_*.
            "link": item.findtext("link").strip().split("?utm_")[0],
            "publisher": "CFTC",
            "tags": sorted({category.text.lower() for category in item.findall("category")} | set(tags)),
            "at_us": int(parsedate_to_datetime(item.findtext("pubDate")).timestamp()) * 1_000_000,
        }


def press_releases(answer):
    return items(answer, ["regulation", "press-release"])


def enforcement(answer):
    return items(answer, ["regulation", "enforcement"])
