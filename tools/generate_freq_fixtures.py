#!/usr/bin/env python3
"""Writes what pandas says about future dates and inferred frequencies, for tests/unit/series/test_freq.c.

usage: tools/generate_freq_fixtures.py tests/data/series        (made with pandas 3.1)

date_range.csv: freq,last,next -- the 5 times after `last`, as Prophet's make_future_dataframe takes them from
    pandas.date_range(start=last, periods=n + 1, freq=freq); blank-separated, a time of day after 'T'.
infer_freq.csv: freq,last,inferred -- pandas.infer_freq of the 12 times after `last` ("" where it finds none).
"""

import sys

import pandas as pd

WEEKDAYS = "MON TUE WED THU FRI SAT SUN".split()
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
STARTS = [
    "2023-12-31",  # Sunday, end of a year
    "2024-01-01",  # Monday, start of a year
    "2024-01-31",
    "2024-02-29",  # leap day, Thursday
    "2023-02-28",
    "2024-06-14T13:45:00",  # Friday, mid-month, a time of day
    "2024-06-15",  # Saturday
    "2024-03-31T23:59:59.250000",  # Sunday, end of a quarter
    "1899-11-30",
    "2200-04-01T06:00:00",
]

bare = ["s", "min", "h", "D", "B", "W", "MS", "ME", "QS", "QE", "YS", "YE", "ms", "us"]
anchored = [f"W-{d}" for d in WEEKDAYS] + [f"{u}-{m}" for u in ("QS", "QE", "YS", "YE") for m in MONTHS]
multiples = [f"{n}{u}" for u in ("s", "min", "h", "D", "B", "W-WED", "MS", "ME", "QS", "QE", "QE-FEB", "QS-NOV", "YS", "YE-JUN")
             for n in (2, 3, 5, 15)] + ["90min", "36h", "7D", "12ME", "6MS", "4QS", "100YE", "250ms"]


def text(time):
    return time.isoformat() if time != time.normalize() else str(time.date())


def future(freq, last, n):
    times = pd.date_range(start=last, periods=n + 1, freq=freq)
    return times[times > last][:n]


def main(folder):
    pd.set_option("future.infer_freq_returns_offset", False)  # names, not offset objects
    with open(f"{folder}/date_range.csv", "w") as ranges, open(f"{folder}/infer_freq.csv", "w") as inferred:
        ranges.write("freq,last,next\n")
        inferred.write("freq,last,inferred\n")
        for freq in bare + anchored + multiples:
            starts = STARTS if freq in bare or freq[0] in "W23" else STARTS[::3] + STARTS[5:6]
            for start in starts:
                last = pd.Timestamp(start)
                ranges.write(f"{freq},{text(last)},{' '.join(text(t) for t in future(freq, last, 5))}\n")
            for start in STARTS[::5]:
                times = future(freq, pd.Timestamp(start), 12)
                inferred.write(f"{freq},{start},{pd.infer_freq(times) or ''}\n")


if __name__ == "__main__":
    main(sys.argv[1])
