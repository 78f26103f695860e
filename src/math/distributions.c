#include "math/distributions.h"

#include <math.h>

double fi_normal_cdf(double x)
{
    return 0.5 * erfc(-x / sqrt(2.0));
}

/* P. J. Acklam's rational approximation of the quantile, p in (0, 1); relative error below 1.2e-9. */
static double approximate_quantile(double p)
{
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                               1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                               6.680131188771972e+01, -1.328068155288572e+01};
    static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                               -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00};
    double from_half = p - 0.5;
    if (fabs(from_half) > 0.47575) {
        double q = sqrt(-2.0 * log(from_half < 0.0 ? p : 1.0 - p));
        double x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
                   ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1.0);
        return from_half < 0.0 ? x : -x;
    }
    double q = from_half, r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1.0);
}

/* The approximation and one Halley step on erfc, full double accuracy. */
double fi_normal_quantile(double p)
{
    if (!(p > 0.0 && p < 1.0)) return p == 0.0 ? -INFINITY : p == 1.0 ? INFINITY : NAN;
    double tail = p < 0.5 ? p : 1.0 - p, x = approximate_quantile(tail);
    double e = 0.5 * erfc(-x / sqrt(2.0)) - tail, u = e * sqrt(2.0 * 3.14159265358979323846) * exp(x * x / 2.0);
    x -= u / (1.0 + x * u / 2.0);
    return p < 0.5 ? x : -x;
}

double fi_rng_normal(fi_rng *rng)
{
    /* A draw need not be the exact quantile of its uniform: 1e-9 is far below what any sample can show. */
    return approximate_quantile(fi_rng_uniform(rng));
}

double fi_rng_laplace(fi_rng *rng)
{
    double u = fi_rng_uniform(rng);
    return u < 0.5 ? log(2.0 * u) : -log(2.0 * (1.0 - u));
}
