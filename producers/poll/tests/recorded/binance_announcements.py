"""Values of Binance's announcements, read without the filters."""

# The older form, without catalogues and times; both are read.
RECORDED = {"announcements-listing": "binance_announcements/cms_article_catalog_list_announcements.*.json"}


def announcements_listing(answer):
    for row in answer["data"]["articles"]:
        yield {
            "title": row["title"],
            "link": "https://www.binance.com/en/support/announcement/" + row["code"],
            "publisher": "Binance",
        }
