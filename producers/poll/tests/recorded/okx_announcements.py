"""Values of OKX's announcements, read without the filters."""

RECORDED = {"announcements": "okx/announcements.*.json"}


def announcements(answer):
    for page in answer["data"]:
        for row in page["details"]:
            yield {
                "title": row["title"],
                "link": row["url"],
                "publisher": "OKX",
                "tags": ["announcement", row["annType"].removeprefix("announcements-")],
                "at_us": int(row["pTime"]) * 1000,
            }
