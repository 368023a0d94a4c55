"""Values of CoinDesk's feed, read without the filters."""
from email.utils import parsedate_to_datetime

RECORDED = {"articles": "coindesk_rss/rss.*.xml"}


def items(channel, tags):
    for item in channel.iter("item"):
        yield {
            "title": " ".join(item.findtext("title").split()),
            # Events have the link in its canonical form, without utm_*.
            "link": item.findtext("link").strip().split("?utm_")[0],
            "publisher": "CoinDesk",
            "tags": sorted({category.text.lower() for category in item.findall("category")} | set(tags)),
            "at_us": int(parsedate_to_datetime(item.findtext("pubDate")).timestamp()) * 1_000_000,
        }


def articles(answer):
    return items(answer, [])
