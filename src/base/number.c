/*
 * Doubles as decimals, both ways, exact and without the locale.
 *
 * Writing: Giulietti, "The Schubfach way to render doubles", 2021. Reading: Clinger, "How to read floating point
 * numbers accurately", PLDI 1990, where the decimal is short; else Lemire, "Number parsing at a gigabyte per second",
 * Software: Practice and Experience 51(8), 2021; else, for about one in 10^10 random decimals, strtod.
 */
#include "base/number.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number_powers.h"

typedef unsigned __int128 u128;

static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* floor(log2(10^k)) for |k| <= 1233 */
static int log2_of_power(int k)
{
    return (k * 1741647) >> 19;
}

/* ---- reading ---- */

typedef struct decimal {
    bool negative, truncated; /* truncated: digits beyond the 19 in `digits` were not all zero */
    uint64_t digits;          /* the first 19 significant digits */
    int64_t exponent;         /* value = digits * 10^exponent */
} decimal;

/* digits * 10^exponent rounded to the nearest double, or false in the rare cases where 128 bits do not decide. */
static bool eisel_lemire(uint64_t w, int64_t exponent, double *value)
{
    if (w == 0 || exponent < POWER_MIN) return *value = 0.0, true;
    if (exponent > 308) return *value = INFINITY, true;
    int q = (int)exponent, leading = __builtin_clzll(w);
    w <<= leading;
    const uint64_t *power = powers_of_ten[q - POWER_MIN];
    u128 product = (u128)w * power[0];
    if (((uint64_t)(product >> 64) & 0x1FF) == 0x1FF) /* the dropped half of the power may matter */
        product += (u128)w * (power[1] + (q < 0)) >> 64;
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if (low == UINT64_MAX && (q < -27 || q > 55)) return false;
    int top = (int)(high >> 63), shift = top + 64 - 52 - 3;
    uint64_t mantissa = high >> shift;
    int binary = log2_of_power(q) + 63 + top - leading + 1023;
    if (binary <= 0) { /* subnormal or zero */
        if (binary <= -63) return *value = 0.0, true;
        mantissa >>= 1 - binary;
        mantissa = (mantissa + (mantissa & 1)) >> 1;
        return *value = from_bits(mantissa), true; /* a carry into bit 52 makes the smallest normal number */
    }
    /* Exactly halfway (possible only for these powers) and about to round an even number up: round to even. */
    if (low <= 1 && q >= -4 && q <= 23 && (mantissa & 3) == 1 && mantissa << shift == high) mantissa &= ~UINT64_C(1);
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >> 53) mantissa >>= 1, binary++;
    if (binary >= 0x7FF) return *value = INFINITY, true;
    *value = from_bits((mantissa & ~(UINT64_C(1) << 52)) | (uint64_t)binary << 52);
    return true;
}

/* The last resort: strtod in the C locale. text[0, n) is a checked decimal; digits past the 800th only count as
 * "not zero", because no halfway point between two doubles has more than 767. */
static double slow_decimal(const char *text, size_t n)
{
    enum { KEEP = 800 };
    char copy[KEEP + 64], *to = copy;
    int kept = 0;
    int64_t exponent = 0;
    bool fraction = false, sticky = false;
    size_t i = 0;
    for (; i < n && text[i] != 'e' && text[i] != 'E'; i++) {
        char c = text[i];
        if (c == '.') {
            fraction = true;
        } else if (c < '0' || c > '9') {
            *to++ = c; /* the sign */
        } else if (kept < KEEP) {
            if (kept || c != '0') *to++ = c, kept++;
            exponent -= fraction;
        } else {
            sticky |= c != '0';
            exponent += !fraction;
        }
    }
    if (sticky) *to++ = '1', exponent--;
    if (i < n) {
        bool negative = text[++i] == '-';
        int64_t e = 0;
        for (i += negative || text[i] == '+'; i < n; i++)
            if (e < INT64_C(1) << 50) e = e * 10 + (text[i] - '0');
        exponent += negative ? -e : e;
    }
    *to++ = 'e';
    if (exponent > 99999999) exponent = 99999999;
    if (exponent < -99999999) exponent = -99999999;
    if (exponent < 0) *to++ = '-', exponent = -exponent;
    for (int64_t unit = 10000000; unit; unit /= 10) *to++ = (char)('0' + exponent / unit % 10);
    *to = '\0';
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a constant object in glibc: nothing is made */
    double value = strtod_l(copy, NULL, c_locale);
    freelocale(c_locale);
    return value;
}

static bool equals_word(const char *text, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if ((text[i] | 0x20) != word[i]) return false; /* a shorter word ends in NUL, which no byte|0x20 equals */
    return word[n] == '\0';
}

static bool parse_word(const char *text, size_t n, double *value)
{
    bool negative = n && text[0] == '-';
    size_t sign = n && (negative || text[0] == '+');
    text += sign, n -= sign;
    if (equals_word(text, n, "nan"))
        *value = NAN;
    else if (equals_word(text, n, "inf") || equals_word(text, n, "infinity"))
        *value = negative ? -INFINITY : INFINITY;
    else
        return false;
    return true;
}

/* Takes digits from p on into d; returns where they end. */
static const char *take_digits(const char *p, const char *end, decimal *d)
{
    uint64_t digits = d->digits;
    for (; p < end; p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (digit > 9) break;
        if (digits < UINT64_C(1000000000000000000)) {
            digits = digits * 10 + digit;
        } else { /* the 20th digit and later */
            d->truncated |= digit != 0;
            d->exponent++;
        }
    }
    d->digits = digits;
    return p;
}

bool fi_parse_double(const char *text, size_t n, double *value)
{
    const char *p = text, *end = text + n;
    decimal d = {0};
    if (p < end && (*p == '-' || *p == '+')) d.negative = *p++ == '-';
    const char *start = p;
    p = take_digits(p, end, &d);
    size_t n_digits = (size_t)(p - start);
    if (p < end && *p == '.') {
        start = ++p;
        p = take_digits(p, end, &d);
        n_digits += (size_t)(p - start);
        d.exponent -= p - start;
    }
    if (n_digits == 0) return parse_word(text, n, value);
    if (p < end && (*p | 0x20) == 'e') {
        bool negative = ++p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) p++;
        if (p == end) return false;
        int64_t e = 0;
        for (; p < end && *p >= '0' && *p <= '9'; p++)
            if (e < INT64_C(1) << 50) e = e * 10 + (*p - '0');
        d.exponent += negative ? -e : e;
    }
    if (p < end) return false;
    double v;
    if (!d.truncated && d.digits < UINT64_C(1) << 53 && d.exponent >= -22 && d.exponent <= 22) {
        v = (double)d.digits; /* both operands exact: one rounding, so the nearest double */
        v = d.exponent < 0 ? v / exact_powers[-d.exponent] : v * exact_powers[d.exponent];
    } else {
        double above;
        bool sure = eisel_lemire(d.digits, d.exponent, &v);
        if (sure && d.truncated) sure = eisel_lemire(d.digits + 1, d.exponent, &above) && above == v;
        if (!sure) return *value = slow_decimal(text, n), true;
    }
    *value = d.negative ? -v : v;
    return true;
}

bool fi_parse_int64(const char *text, size_t n, int64_t *value)
{
    bool negative = n && text[0] == '-';
    size_t i = n && (negative || text[0] == '+');
    uint64_t sum = 0, limit = (uint64_t)INT64_MAX + negative;
    if (i == n) return false;
    for (; i < n; i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        if (digit > 9 || sum > (limit - digit) / 10) return false;
        sum = sum * 10 + digit;
    }
    *value = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

/* ---- writing ---- */

/* g * cp / 2^128 rounded to odd: the last bit says whether anything below it was lost. */
static uint64_t round_to_odd(uint64_t high, uint64_t low, uint64_t cp)
{
    u128 y = (u128)high * cp + ((u128)low * cp >> 64);
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/* The shortest decimal *digits * 10^*exponent in the rounding interval of a finite positive double (Schubfach). */
static void shortest(uint64_t bits, uint64_t *digits, int *exponent)
{
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1), field = bits >> 52;
    uint64_t c = field ? fraction | UINT64_C(1) << 52 : fraction;
    int q = field ? (int)field - 1075 : -1074;
    bool closer = fraction == 0 && field > 1; /* at a power of two the lower neighbour is half as far away */
    uint64_t odd = c & 1;                     /* an odd significand does not own the ends of its interval */
    int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22, h = q + log2_of_power(-k) + 1;
    const uint64_t *power = powers_of_ten[-k - POWER_MIN];
    uint64_t low = power[1] + (-k < 0 || -k > 55); /* rounded up, except where 10^-k is exact */
    uint64_t lower = round_to_odd(power[0], low, (4 * c - 2 + closer) << h) + odd;
    uint64_t upper = round_to_odd(power[0], low, (4 * c + 2) << h) - odd;
    uint64_t middle = round_to_odd(power[0], low, (4 * c) << h), s = middle / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down = lower <= 40 * tens, up = 40 * tens + 40 <= upper;
        if (down != up) {
            *digits = tens + up;
            *exponent = k + 1;
            return;
        }
    }
    bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
    if (down == up) up = middle > 4 * s + 2 || (middle == 4 * s + 2 && (s & 1));
    *digits = s + up;
    *exponent = k;
}

/*
 * The same for numbers of up to six decimals, which most data are. A decimal of at most 15 digits that reads back equal
 * (both operands of the division are exact, so it is Clinger's reading) is the only such one, so it is the shortest.
 */
static bool few_decimals(double size, uint64_t *digits, int *exponent)
{
    if (!(size < 1e9)) return false;
    *digits = (uint64_t)(size * 1e6 + 0.5);
    *exponent = -6;
    return (double)*digits / 1e6 == size;
}

static void put_few_digits(char *out, uint32_t value, int n)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    for (; n >= 2; n -= 2, value /= 100) memcpy(out + n - 2, pairs + value % 100 * 2, 2);
    if (n) out[0] = (char)('0' + value);
}

/* Writes the n decimal digits of value, eight at a time: 32-bit divisions are the cheaper ones. */
static void put_digits(char *out, uint64_t value, int n)
{
    for (; n > 8; n -= 8, value /= 100000000) put_few_digits(out + n - 8, (uint32_t)(value % 100000000), 8);
    put_few_digits(out, (uint32_t)value, n);
}

static int count_digits(uint64_t value)
{
    int n = 1;
    for (; value >= 10000; value /= 10000) n += 4;
    return n + (value >= 10) + (value >= 100) + (value >= 1000);
}

/* digits * 10^exponent (no trailing zeros in digits) in the layout of Python's repr. */
static char *put_decimal(char *out, uint64_t digits, int exponent)
{
    int n = count_digits(digits), point = n + exponent; /* value = 0.DIGITS * 10^point */
    if (point > 16 || point < -3) {
        put_digits(out + 1, digits, n);
        out[0] = out[1];
        out[1] = '.';
        out += n > 1 ? n + 1 : 1;
        *out++ = 'e';
        *out++ = point > 0 ? '+' : '-';
        int e = point > 0 ? point - 1 : 1 - point, width = e >= 100 ? 3 : 2;
        put_digits(out, (uint64_t)e, width);
        return out + width;
    }
    if (point <= 0) {
        memcpy(out, "0.000", 5);
        put_digits(out + 2 - point, digits, n);
        return out + 2 - point + n;
    }
    if (exponent >= 0) {
        put_digits(out, digits, n);
        memset(out + n, '0', (size_t)exponent);
        return out + point;
    }
    put_digits(out + 1, digits, n);
    memmove(out, out + 1, (size_t)point);
    out[point] = '.';
    return out + n + 1;
}

size_t fi_format_double(char *out, double value)
{
    char *p = out;
    uint64_t bits = to_bits(value);
    if (isnan(value)) return memcpy(out, "nan", 4), 3;
    if (bits >> 63) *p++ = '-';
    bits &= UINT64_MAX >> 1;
    double size = from_bits(bits);
    if (isinf(size)) {
        memcpy(p, "inf", 3);
        p += 3;
    } else if (size < 0x1p53 && size == (double)(uint64_t)size) {
        int n = count_digits((uint64_t)size);
        put_digits(p, (uint64_t)size, n);
        p += n;
    } else {
        uint64_t digits;
        int exponent;
        if (!few_decimals(size, &digits, &exponent)) shortest(bits, &digits, &exponent);
        for (; digits % 10000 == 0; digits /= 10000) exponent += 4;
        for (; digits % 10 == 0; digits /= 10) exponent++;
        p = put_decimal(p, digits, exponent);
    }
    *p = '\0';
    return (size_t)(p - out);
}
