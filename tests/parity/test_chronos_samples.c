/*
 * Sample paths against those that upstream drew (tests/data/toy-chronos-{t5,gpt2}/samples.json): two-sample tests of the
 * values at every step and of the sums of whole paths. Ours come from one fixed seed, so the tests never fail by luck; they
 * are shown to tell other settings apart.
 */
#include "chronos.h"

enum { PATHS = 4000 };

/* Paths [PATHS, H] after the case's context, with its settings. */
static float *draw(const opened *o, const json_t *c, size_t H)
{
    size_t n;
    float *x = floats(c, "context", &n), *out = fi_alloc(PATHS * H, sizeof *out);
    const fi_chronos_row row = row_of(o, x, n, out);
    fi_chronos_batch batch = batch_of(o, &row, 1, H);
    batch.n_samples = PATHS;
    if (json_object_get(c, "temperature")) {
        batch.temperature = number(c, "temperature");
        batch.top_k = (size_t)number(c, "top_k");
        batch.top_p = number(c, "top_p");
    }
    must_predict(o, &batch);
    fi_free(x);
    return out;
}

/* Chi squared of two histograms as a standard normal number (Wilson & Hilferty 1931); rare values are taken together. */
static double excess(const double *a, const double *b, size_t bins)
{
    double total_a = 0, total_b = 0, rest_a = 0, rest_b = 0, chi = 0;
    int freedom = -1;
    for (size_t i = 0; i < bins; i++) total_a += a[i], total_b += b[i];
    const double r = sqrt(total_b / total_a);
    for (size_t i = 0; i <= bins; i++) {
        const bool last = i == bins;
        if (!last && a[i] + b[i] < 20) {
            rest_a += a[i];
            rest_b += b[i];
            continue;
        }
        const double x = last ? rest_a : a[i], y = last ? rest_b : b[i];
        if (x + y == 0) continue;
        chi += pow(r * x - y / r, 2) / (x + y);
        freedom++;
    }
    const double unit = 2.0 / (9 * freedom);
    return freedom > 0 ? (cbrt(chi / freedom) - (1 - unit)) / sqrt(unit) : chi;
}

/* The largest excess over all steps. Every value of ours must be one that a token stands for. */
static double compare_steps(const json_t *c, const float *paths, size_t H)
{
    size_t n_values, n_counts;
    float *values = floats(c, "values", &n_values), *counts = floats(c, "counts", &n_counts);
    double worst = 0, theirs[128], ours[128];
    CHECK(n_values < 128 && n_counts == H * n_values);
    for (size_t h = 0; h < H; h++) {
        size_t found = 0;
        for (size_t v = 0; v < n_values; v++) {
            theirs[v] = (double)counts[h * n_values + v];
            ours[v] = 0;
            for (size_t s = 0; s < PATHS; s++)
                ours[v] += fabsf(paths[s * H + h] - values[v]) <= 1e-5f * (1 + fabsf(values[v]));
            found += (size_t)ours[v];
        }
        theirs[n_values] = 0; /* what upstream never drew */
        ours[n_values] = (double)(PATHS - found);
        worst = fmax(worst, excess(theirs, ours, n_values + 1));
    }
    fi_free(values);
    fi_free(counts);
    return worst;
}

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The Kolmogorov-Smirnov distance of the sums of paths, in units of its limit at one in a thousand. */
static double compare_sums(const json_t *c, const float *paths, size_t H)
{
    size_t n, i = 0, j = 0;
    float *theirs = floats(c, "sums", &n), *ours = fi_calloc(PATHS, sizeof *ours);
    double distance = 0;
    for (size_t s = 0; s < PATHS; s++)
        for (size_t h = 0; h < H; h++) ours[s] += paths[s * H + h];
    qsort(theirs, n, sizeof *theirs, ascending);
    qsort(ours, PATHS, sizeof *ours, ascending);
    while (i < n && j < PATHS) {
        const float at = fminf(theirs[i], ours[j]) + 1e-3f; /* sums of equal values differ by rounding */
        while (i < n && theirs[i] <= at) i++;
        while (j < PATHS && ours[j] <= at) j++;
        distance = fmax(distance, fabs((double)i / (double)n - (double)j / PATHS));
    }
    fi_free(theirs);
    fi_free(ours);
    return distance / (1.95 * sqrt((double)(n + PATHS) / ((double)n * PATHS)));
}

static void check_model(const char *directory)
{
    char path[512];
    opened o;
    snprintf(path, sizeof path, "%s/samples.json", directory);
    json_t *golden = read_json(path), *cases = json_object_get(golden, "cases"), *c;
    must_open(&fi_chronos_t5, directory, 2, FI_F32, &o);
    CHECK_INT(json_array_size(cases), 2);
    size_t i;
    json_array_foreach(cases, i, c)
    {
        const json_t *other = json_array_get(cases, 1 - i);
        const size_t H = (size_t)number(c, "horizon");
        float *paths = draw(&o, c, H);
        const double steps = compare_steps(c, paths, H), sums = compare_sums(c, paths, H);
        if (!(steps < 4)) fail_msg("%s, settings %zu: chi squared is %.3g deviations too large", directory, i, steps);
        if (!(sums < 1)) fail_msg("%s, settings %zu: sums are %.3g times as far apart as may be", directory, i, sums);
        CHECK(compare_steps(other, paths, H) > 8 && compare_sums(other, paths, H) > 1);
        fi_free(paths);
    }
    close_family(&o);
    json_decref(golden);
}

TEST(paths_of_t5_are_distributed_as_upstreams)
{
    check_model(FTL_TEST_DATA "/toy-chronos-t5");
}

TEST(paths_of_gpt2_are_distributed_as_upstreams)
{
    check_model(FTL_TEST_DATA "/toy-chronos-gpt2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_of_t5_are_distributed_as_upstreams),
        cmocka_unit_test(paths_of_gpt2_are_distributed_as_upstreams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
