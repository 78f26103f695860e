/* The table of public holidays that tools/make_holidays.py generates; that script says how a text of rows is built. */
#ifndef FI_SERIES_HOLIDAYS_H
#define FI_SERIES_HOLIDAYS_H

#include <stddef.h>

/* A list of names is NUL-ended texts, the last one followed by an empty one. */
typedef struct fi_country {
    char code[5];                  /* ISO 3166-1 alpha-2, or ISO 10383 of a market; here, so that a search stays near */
    const char *names;             /* list: English name, others (alpha-3, the package's own, Prophet's) */
    const char *subdivisions;      /* codes, blank separated */
    const char *subdivision_names; /* for each subdivision a list, its code first; then an empty list */
    const char *rows;              /* holidays and their days */
} fi_country;

extern const fi_country fi_countries[]; /* countries by code, then financial markets */
extern const size_t fi_n_countries;
extern const int fi_holidays_first_year, fi_holidays_last_year;

#endif
