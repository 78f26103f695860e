/* Foreign text: is it UTF-8, how does it end, and a piece of it that is safe to show. */
#ifndef FI_BASE_TEXT_H
#define FI_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the UTF-8 character that text[0, n) begins with; 0 if it begins with none (also NUL, or n == 0). */
size_t fi_utf8_char(const char *text, size_t n);
/* Is all of text[0, n) UTF-8 without NUL? */
bool fi_utf8_valid(const char *text, size_t n);
bool fi_text_ends(const char *text, const char *end);

enum { FI_EXCERPT_MAX = 64 };
/* The first 60 bytes or less of text[0, n), cut between characters and followed by "..." if that is not all. NUL and what
 * is not UTF-8 become '?'. Returns out. */
const char *fi_excerpt(const char *text, size_t n, char out[FI_EXCERPT_MAX]);

#endif
