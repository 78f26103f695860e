#!/usr/bin/env python3
"""Makes src/series/holidays_table.c from the PyPI package `holidays` (MIT), and checks it.

    tools/make_holidays.py                     write the table and tests/data/holidays.tsv
    tools/make_holidays.py --check LIB         decode everything through LIB (libforetell.so) and compare with the package
    tools/make_holidays.py --compare FILE.gz   how far Prophet's older generated table agrees with the package, by country

The holidays are those that Prophet's add_country_holidays() uses: language en_US, observed days included, expand off,
several holidays of one day kept apart. Names are English where the package has a translation, else the country's own.

The table, one text per country:

    rows      = { NAME \\0 STEPS \\0 } { "=" CODES \\0 { NAME \\0 STEPS \\0 } } \\0
    CODES     = subdivisions, blank separated; the rows after it replace the country's rows of the same name (no STEPS:
                not a holiday there), the country's other rows stay
    STEPS     = the days of a holiday, each as its distance from the day before, the first from 1 January 1995, in a
                calendar where every month has 31 days: a holiday of a fixed date takes equal steps of 372, which a
                repeat shortens to a few bytes.

A step is written in digits of base 92, '#' = 0 to '~' = 91. With v the first digit, a and b those after it:

    v <= 83        330 + v
    84 <= v <= 87  (v - 84) * 92 + a
    88 <= v <= 90  (v - 88) * 8464 + a * 92 + b
    v == 91        the step before, a + 1 more times
"""
import argparse
import collections
import csv
import ctypes
import datetime
import gzip
import io
import pathlib
import re
import sys
import warnings

import holidays
from holidays.registry import COUNTRIES, FINANCIAL

FIRST_YEAR, LAST_YEAR = 1995, 2050
ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURE = [("US", None), ("DE", "BY"), ("IN", None), ("TR", None), ("JP", None), ("BR", "SP")]  # of tests/data
FIXTURE_YEARS = [1996, 2023, 2050]
PROPHET_ALIASES = {"TR": ["TU"]}  # what Prophet takes beside the package's own names


def in_order(holiday):
    return holiday[0], holiday[1].encode()


# What the package says ------------------------------------------------------------------------------------------------


def entities():
    """[(class, code, English name, all other names)], countries by code, then financial markets."""
    def entry(key, names, market):
        cls = getattr(holidays, names[0]).get_entity()
        if market:  # BolsaDeValores -> Bolsa De Valores
            name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", names[0])
        else:
            small = {"and", "of", "the"}
            name = " ".join(w if w in small else w.capitalize() for w in key.split("_"))
        other = [n for n in names if n not in (names[1], name)] + PROPHET_ALIASES.get(names[1], [])
        return cls, names[1], name, other

    found = sorted((entry(k, v, False) for k, v in COUNTRIES.items()), key=lambda e: e[1])
    return found + sorted((entry(k, v, True) for k, v in FINANCIAL.items()), key=lambda e: e[1])


def days_of(cls, subdivision, years=range(FIRST_YEAR, LAST_YEAR + 1)):
    """{(date, name)} as Prophet's make_holidays_df() asks for them."""
    found = cls(expand=False, language="en_US", subdiv=subdivision, years=list(years))
    return {(day, name) for day in found for name in found.get_list(day)}


def subdivisions_of(cls):
    """[(code in the package, code in the table, other names)]; blanks in codes become '_'."""
    aliases = cls.get_subdivision_aliases() if cls.subdivisions else {}
    return [(s, s.replace(" ", "_"), [a for a in aliases.get(s, ()) if a != s]) for s in cls.subdivisions]


# The table ------------------------------------------------------------------------------------------------------------


def digit(value):
    assert 0 <= value < 92
    return chr(ord("#") + value)


def encode_step(step):
    if 330 <= step < 330 + 84:
        return digit(step - 330)
    if 0 <= step < 4 * 92:
        return digit(84 + step // 92) + digit(step % 92)
    assert 0 <= step < 3 * 8464
    return digit(88 + step // 8464) + digit(step // 92 % 92) + digit(step % 92)


def encode_days(days):
    keys = [(d.year - FIRST_YEAR) * 372 + (d.month - 1) * 31 + d.day - 1 for d in sorted(days)]
    steps = [b - a for a, b in zip([0] + keys, keys)]
    out, i = "", 0
    while i < len(steps):
        code, n = encode_step(steps[i]), 1
        while n < 93 and i + n < len(steps) and steps[i + n] == steps[i]:
            n += 1
        repeated = code + digit(91) + digit(n - 2) if n > 1 else code
        out += min(repeated, code * n, key=len)
        i += n
    return out


def rows_of(days):
    """{name: STEPS}"""
    by_name = collections.defaultdict(list)
    for day, name in days:
        assert name and "\0" not in name and not name.startswith("="), name
        by_name[name].append(day)
    return {name: encode_days(by_name[name]) for name in sorted(by_name)}


def c_text(*parts):
    """Parts that end in NUL, as C string literals (apart, lest a digit runs into \\0)."""
    quoted = (p.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?") for p in parts)
    return " ".join(f'"{p}\\0"' for p in quoted)


def country_text(cls, code, name, other):
    base = rows_of(days_of(cls, None))
    lines = [c_text(n, s) for n, s in base.items()]
    sections = collections.defaultdict(list)
    subdivisions = subdivisions_of(cls)
    for package_code, sub, _ in subdivisions:
        rows = rows_of(days_of(cls, package_code))
        changed = {n: rows.get(n, "") for n in sorted(base.keys() | rows.keys()) if base.get(n) != rows.get(n)}
        if changed:
            sections[tuple(changed.items())].append(sub)
    for changed, codes in sections.items():
        lines.append(c_text("=" + " ".join(codes)))
        lines += [c_text(n, s) for n, s in changed]
    names = "\n     ".join(c_text(sub, *aliases, "") for _, sub, aliases in subdivisions)
    body = "\n     ".join(lines)
    return (f"    {{\"{code}\", {c_text(name, *other)},\n"
            f"     \"{' '.join(sub for _, sub, _ in subdivisions)}\",\n"
            f"     {names or chr(34) * 2},\n"
            f"     {body or chr(34) * 2}}},\n")


def licence():
    """The package's licence, which asks to go wherever a substantial part of it goes."""
    from importlib.metadata import distribution
    files = distribution("holidays").files
    return next(f for f in files if f.name == "LICENSE").locate().read_text(encoding="utf-8")


def write_table(path):
    found = entities()
    text = licence().replace("*/", "* /").strip()
    notice = "\n".join((" * " + line).rstrip() for line in text.splitlines())
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"""/*
 * Public holidays, {FIRST_YEAR} to {LAST_YEAR}. Generated by tools/make_holidays.py, which says what it means, from the
 * Python package holidays {holidays.__version__} (https://github.com/vacanza/holidays); do not edit.
 *
 * The data are derived from that package, whose licence is:
 *
{notice}
 */
/* clang-format off */
#include "series/holidays.h"

const int fi_holidays_first_year = {FIRST_YEAR}, fi_holidays_last_year = {LAST_YEAR};
const fi_country fi_countries[] = {{
""")
        for entity in found:
            out.write(country_text(*entity))
        out.write("};\nconst size_t fi_n_countries = sizeof fi_countries / sizeof *fi_countries;\n")
    print(f"{path}: {len(found)} countries and markets, {path.stat().st_size} bytes, from holidays {holidays.__version__}")


def write_fixture(path):
    with open(path, "w", encoding="utf-8", newline="") as out:
        for country, subdivision in FIXTURE:
            place = country + (f"-{subdivision}" if subdivision else "")
            days = days_of(getattr(holidays, country), subdivision, FIXTURE_YEARS)
            for day, name in sorted(days, key=in_order):
                print(place, day, name, sep="\t", file=out)
    print(path)


# Checks ---------------------------------------------------------------------------------------------------------------


class Holiday(ctypes.Structure):
    _fields_ = [("date", ctypes.c_int64), ("name", ctypes.c_char_p)]


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 512)]


class Library:
    def __init__(self, path):
        self.lib = ctypes.CDLL(str(path))
        self.lib.ftl_holidays_of.argtypes = [
            ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(Holiday)),
            ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(Error)]
        self.lib.ftl_holidays_free.argtypes = [ctypes.POINTER(Holiday)]
        self.lib.ftl_country_count.restype = ctypes.c_size_t

    def days_of(self, country, first=FIRST_YEAR, last=LAST_YEAR):
        """[(date, name)] as the library gives them."""
        found, n, err = ctypes.POINTER(Holiday)(), ctypes.c_size_t(), Error()
        if self.lib.ftl_holidays_of(country.encode(), first, last, found, n, err):
            raise ValueError(err.message.decode())
        epoch = datetime.date(1970, 1, 1)
        days = [(epoch + datetime.timedelta(microseconds=found[i].date), found[i].name.decode()) for i in range(n.value)]
        assert all(found[i].date % 86_400_000_000 == 0 for i in range(n.value)), country
        self.lib.ftl_holidays_free(found)
        return days


def check(path):
    """Everything in the table, by every name it can be asked for, and single years as whole decades."""
    library, failures, compared, names = Library(path), 0, 0, 0

    def compare(what, expected, actual):
        nonlocal failures, compared
        compared += len(expected)
        if actual != sorted(expected, key=in_order):
            failures += 1
            print(f"{what}: missing {sorted(expected - set(actual))[:5]}, extra {sorted(set(actual) - expected)[:5]}")

    found = entities()
    for cls, code, name, other in found:
        base = days_of(cls, None)
        for text in [code, name, *other]:
            compare(text, base, library.days_of(text))
            names += 1
        by_year = collections.defaultdict(set)  # the package asked for one year, as Prophet does for short histories
        for day, holiday in base:
            by_year[day.year].add((day, holiday))
        for year in range(FIRST_YEAR, LAST_YEAR + 1):
            differing = by_year[year] ^ days_of(cls, None, [year])
            if differing:  # not ours to mend: the table has what the package says of all years together
                print(f"note: {code} {year}: asked for this year alone, the package differs in {sorted(differing)}")
        for year in (FIRST_YEAR, 2024, LAST_YEAR):
            compare(f"{code} {year}", by_year[year], library.days_of(code, year, year))
        for package_code, sub, aliases in subdivisions_of(cls):
            expected = days_of(cls, package_code)
            for text in {package_code, sub, *aliases}:
                compare(f"{code}-{text}", expected, library.days_of(f"{code}-{text}"))
                names += 1
    if library.lib.ftl_country_count() != len(found):
        failures += 1
        print(f"the library knows {library.lib.ftl_country_count()} countries, the package {len(found)}")
    print(f"{len(found)} countries and markets by {names} names, {compared} days compared, {failures} failures")
    return failures


def compare_with_prophet(path):
    """How much of Prophet's own table of 1995 to 2044, made by an older package, today's package agrees to."""
    old = collections.defaultdict(set)
    with io.TextIOWrapper(gzip.open(path), encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            old[row["country"]].add((datetime.date.fromisoformat(row["ds"]), row["holiday"]))
    same = total = 0
    for country in sorted(old):
        alias = {"TU": "TR"}.get(country, country)
        cls = getattr(holidays, alias, None)
        if cls is None:
            print(f"{country}  not in the package")
            continue
        new = days_of(cls, None, range(1995, 2045))
        agreed, old_days = old[country] & new, {d for d, _ in old[country]}
        same, total = same + len(agreed), total + len(old[country])
        print(f"{country}  {len(agreed):5d} of {len(old[country]):5d} agree in day and name "
              f"({100 * len(agreed) / len(old[country]):5.1f} %), "
              f"{len(old_days & {d for d, _ in new}):4d} of {len(old_days):4d} in day; {len(new):5d} now")
    print(f"all {same} of {total} ({100 * same / total:.1f} %)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="LIB", type=pathlib.Path)
    parser.add_argument("--compare", metavar="FILE.gz", type=pathlib.Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # years in which a market did not exist
    if args.check:
        sys.exit(1 if check(args.check.resolve()) else 0)
    if args.compare:
        return compare_with_prophet(args.compare)
    write_table(ROOT / "src/series/holidays_table.c")
    write_fixture(ROOT / "tests/data/holidays.tsv")


if __name__ == "__main__":
    main()
