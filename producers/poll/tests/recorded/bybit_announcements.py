"""Values of Bybit's announcements, read without the filters."""

RECORDED = {"announcements": "bybit/announcements.*.json"}


def announcements(answer):
    for row in answer["result"]["list"]:
        yield {
            "title": row["title"],
            "link": row["url"],
            "publisher": "Bybit",
            "summary": row["description"],
            "tags": sorted({"announcement", row["type"]["key"], *(tag.lower() for tag in row["tags"])}),
            "at_us": int(row["dateTimestamp"]) * 1000,
        }
