"""Values of KuCoin's announcements, read without the filters."""

# Of the other version of their API, whose fields have other names; both are read.
RECORDED = {"announcements": "kucoin/announcements.*.json"}


def announcements(answer):
    for row in answer["data"]["list"]:
        yield {
            "title": row["title"],
            "link": row["url"],
            "publisher": "KuCoin",
            "tags": sorted({"announcement", *row["type"]}),
            "at_us": int(row["releaseTime"]) * 1000,
        }
