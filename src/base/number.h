/* Decimal numbers, read and written without regard to the locale. */
#ifndef FI_BASE_NUMBER_H
#define FI_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FI_NUMBER_MAX = 32 }; /* room for any formatted double or int64, with its NUL */

/*
 * Reads [+-]digits[.digits][e[+-]digits], also inf, infinity and nan in any case, from text[0, n), all of it.
 * The result is the double nearest to the decimal (ties to even). Returns false if the text is anything else.
 */
bool fi_parse_double(const char *text, size_t n, double *value);
/* Reads [+-]digits, all of text[0, n). Returns false if it is anything else or leaves the range of int64. */
bool fi_parse_int64(const char *text, size_t n, int64_t *value);

/*
 * Writes the shortest decimal that reads back equal, and of those the closest, with its NUL; returns its length.
 * Layout: as Python's repr but without a trailing ".0" (1, 0.1, 1e-07, 1.5e+300, 12345678901234567000 -> up to 1e16
 * in plain notation, exponent from 1e16 on and below 1e-4), "inf", "-inf", "nan".
 */
size_t fi_format_double(char *out, double value);

#endif
