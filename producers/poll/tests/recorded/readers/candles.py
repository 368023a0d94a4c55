"""Candles as prices: the close, at the end."""


def of_hours(rows, asset, quote, opened, close, milliseconds=False):
    """`opened` and `close` are the places of the time of opening and of the close in each row."""
    for row in rows:
        opened_us = int(row[opened]) * (1_000 if milliseconds else 1_000_000)
        yield {"asset": asset, "quote": quote, "price": row[close], "at_us": opened_us + 3_600_000_000}
