/*
 * solver=stan against Stan itself.
 *
 * golden_stan_rstan221.csv: 30 fits by R prophet 1.0 with rstan 2.21.7, all parameters to 17 digits. The problems are
 * rebuilt here from the series with a few lines of Prophet's data preparation, so that the solver is tested alone.
 * The hold-out errors are those that Prophet's own test suite asks for.
 */
#include "base/alloc.h"
#include "check.h"
#include "prophet/prophet.h"

enum { MAX_CHANGEPOINTS = 25, MAX_COLUMNS = 34 };

/* ---- data --------------------------------------------------------------------------------------------------------- */

typedef struct row {
    double day, y; /* days since 1970-01-01 */
} row;

typedef struct table {
    row *rows;
    size_t n;
} table;

static double day_number(int year, int month, int day) /* Howard Hinnant's days_from_civil */
{
    year -= month <= 2;
    int era = year / 400, of_era = year - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + (of_era * 365 + of_era / 4 - of_era / 100 + of_year) - 719468;
}

static int by_day(const void *a, const void *b)
{
    double x = ((const row *)a)->day, y = ((const row *)b)->day;
    return (x > y) - (x < y);
}

/* Reads "ds,y" lines ended by LF or CR, dates perhaps quoted; sorted by date. */
static table read_table(const char *name)
{
    char path[256], line[256];
    snprintf(path, sizeof path, "data/prophet/%s", name);
    FILE *file = fopen(shared_path(path), "r");
    CHECK(file != NULL);
    table t = {NULL, 0};
    for (int c = 0; c != EOF;) {
        size_t n = 0;
        for (c = fgetc(file); c != EOF && c != '\n' && c != '\r'; c = fgetc(file))
            if (c != '"' && n + 1 < sizeof line) line[n++] = (char)c;
        line[n] = 0;
        int year, month, day, hour = 0, minute = 0;
        const char *y = strchr(line, ',');
        if (sscanf(line, "%d-%d-%d %d:%d", &year, &month, &day, &hour, &minute) < 3 || !y) continue;
        char *end;
        double value = strtod(y + 1, &end);
        if (end == y + 1) continue; /* missing */
        t.rows = fi_realloc(t.rows, t.n + 1, sizeof *t.rows);
        t.rows[t.n++] = (row){day_number(year, month, day) + (hour * 60 + minute) / 1440.0, value};
    }
    fclose(file);
    qsort(t.rows, t.n, sizeof *t.rows, by_day); /* no example has two rows of one time */
    return t;
}

/* ---- Prophet's data preparation ----------------------------------------------------------------------------------- */

typedef struct fit {
    prophet_problem p;
    double *t, *y, *cap, *X, t_change[MAX_CHANGEPOINTS], sigmas[MAX_COLUMNS];
    bool multiplicative[MAX_COLUMNS];
    struct {
        double period;
        size_t order;
    } season[3];
    size_t n_seasons;
    double start, t_scale, y_min, y_scale;
    prophet_point x;
    double delta[MAX_CHANGEPOINTS], beta[MAX_COLUMNS];
    prophet_certificate cert;
} fit;

typedef struct setup {
    const char *file;
    size_t rows; /* 0: all */
    prophet_growth growth;
    prophet_mode mode;
    double cap;
    bool minmax, r_rounding; /* R rounds 1 + i (n - 1) / S, Python i (n - 1) / S, both half to even */
} setup;

static void fourier(const fit *f, double day, double *out, size_t stride)
{
    for (size_t s = 0; s < f->n_seasons; s++)
        for (size_t i = 1; i <= f->season[s].order; i++, out += 2 * stride) {
            double angle = (double)i / f->season[s].period * (2 * M_PI * day);
            out[0] = sin(angle);
            out[stride] = cos(angle);
        }
}

static void fit_init(fit *f, const table *data, const setup *how)
{
    memset(f, 0, sizeof *f);
    const row *rows = data->rows;
    size_t n = how->rows ? how->rows : data->n, K = 0;
    double low = INFINITY, high = -INFINITY, spacing = INFINITY;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, rows[i].y);
        high = fmax(high, rows[i].y);
        if (i > 0) spacing = fmin(spacing, rows[i].day - rows[i - 1].day);
    }
    f->start = rows[0].day;
    f->t_scale = rows[n - 1].day - f->start;
    f->y_min = how->minmax ? low : 0;
    f->y_scale = how->minmax ? high - low : fmax(fabs(low), fabs(high));
    if (f->t_scale >= 730) f->season[f->n_seasons].period = 365.25, f->season[f->n_seasons++].order = 10;
    if (f->t_scale >= 14 && spacing < 7) f->season[f->n_seasons].period = 7, f->season[f->n_seasons++].order = 3;
    if (f->t_scale >= 2 && spacing < 1) f->season[f->n_seasons].period = 1, f->season[f->n_seasons++].order = 4;
    for (size_t s = 0; s < f->n_seasons; s++) K += 2 * f->season[s].order;
    if (K == 0) K = 1; /* Prophet's column of zeros, its prior scale 1 */

    f->t = fi_alloc(n, sizeof *f->t);
    f->y = fi_alloc(n, sizeof *f->y);
    f->cap = fi_alloc(n, sizeof *f->cap);
    f->X = fi_calloc(n * K, sizeof *f->X);
    for (size_t i = 0; i < n; i++) {
        f->t[i] = (rows[i].day - f->start) / f->t_scale;
        f->y[i] = (rows[i].y - f->y_min) / f->y_scale;
        f->cap[i] = (how->cap - f->y_min) / f->y_scale;
        fourier(f, rows[i].day, f->X + i, n);
    }
    for (size_t j = 0; j < K; j++) {
        f->sigmas[j] = f->n_seasons ? 10 : 1;
        f->multiplicative[j] = f->n_seasons && how->mode == PROPHET_MULTIPLICATIVE;
    }
    size_t history = (size_t)floor(0.8 * (double)n), S = MAX_CHANGEPOINTS;
    if (S + 1 > history) S = history - 1;
    for (size_t i = 1; i <= S; i++) {
        double at = (double)i * ((double)(history - 1) / (double)S);
        f->t_change[i - 1] = f->t[(size_t)(how->r_rounding ? nearbyint(1 + at) - 1 : nearbyint(at))];
    }
    f->p = (prophet_problem){n,    S,      K,           how->growth, 0.05,      f->y,
                             f->t, f->cap, f->t_change, f->X,        f->sigmas, f->multiplicative};
    f->x = (prophet_point){.delta = f->delta, .beta = f->beta};
}

static void fit_release(fit *f)
{
    fi_free(f->t);
    fi_free(f->y);
    fi_free(f->cap);
    fi_free(f->X);
}

static double predict(const fit *f, double day)
{
    double t = (day - f->start) / f->t_scale, columns[MAX_COLUMNS] = {0}, trend, sum = 0;
    prophet_trend(f->p.growth, f->x.k, f->x.m, f->delta, f->t_change, f->p.S, &t, f->cap, 1, &trend);
    fourier(f, day, columns, 1);
    for (size_t j = 0; j < f->p.K; j++) sum += columns[j] * f->beta[j];
    return f->y_min + f->y_scale * (trend + sum);
}

static void solve(fit *f, prophet_algorithm algorithm)
{
    ftl_error err = {FTL_OK, ""};
    if (prophet_solve_stan(&f->p, algorithm, 10000, false, &f->x, &f->cert, &err)) fail_msg("%s", err.message);
}

/* Numbers: Prophet's test suite, growth initialisation on the first 468 rows with the largest y as capacity. */
TEST(starting_values_are_those_of_prophets_tests)
{
    static const double expected[2][5] = {{0.3055671, 0.5307511, 1.507925, -0.08167497, 0.49335657},
                                          {0.4053406, 0.3775322, 1.782523, 0.280521, 0.32792770}};
    for (int minmax = 0; minmax < 2; minmax++)
        for (int growth = PROPHET_LINEAR; growth <= PROPHET_FLAT; growth++) {
            table data = read_table("tests_data.csv");
            setup how = {"tests_data.csv", 468, (prophet_growth)growth, PROPHET_ADDITIVE, 0, minmax, false};
            for (size_t i = 0; i < how.rows; i++) how.cap = fmax(how.cap, data.rows[i].y);
            fit f;
            fit_init(&f, &data, &how);
            prophet_initial_point(&f.p, &f.x);
            if (growth == PROPHET_FLAT)
                CHECK_NEAR(f.x.k, 0, 0);
            else
                CHECK_CLOSE(f.x.k, expected[minmax][2 * growth], 1e-6);
            CHECK_CLOSE(f.x.m, expected[minmax][growth == PROPHET_FLAT ? 4 : 2 * growth + 1], 1e-6);
            fi_free(data.rows);
            fit_release(&f);
        }
}

/* ---- rstan's fits ------------------------------------------------------------------------------------------------- */

typedef struct golden {
    char name[64], algorithm[16];
    double lp, k, m, sigma, delta[MAX_CHANGEPOINTS], beta[MAX_COLUMNS];
} golden;

static const struct {
    const char *prefix;
    setup how;
} SETUPS[] = {
    {"tests_data_head", {"tests_data.csv", 0, PROPHET_LINEAR, PROPHET_ADDITIVE, 0, false, true}},
    {"tests80_logistic_cap100", {"tests_data.csv", 80, PROPHET_LOGISTIC, PROPHET_ADDITIVE, 100, false, true}},
    {"tests80_flat", {"tests_data.csv", 80, PROPHET_FLAT, PROPHET_ADDITIVE, 0, false, true}},
    {"air_add", {"example_air_passengers.csv", 0, PROPHET_LINEAR, PROPHET_ADDITIVE, 0, false, true}},
    {"air_mult", {"example_air_passengers.csv", 0, PROPHET_LINEAR, PROPHET_MULTIPLICATIVE, 0, false, true}},
    {"retail_add", {"example_retail_sales.csv", 0, PROPHET_LINEAR, PROPHET_ADDITIVE, 0, false, true}},
    {"retail_mult", {"example_retail_sales.csv", 0, PROPHET_LINEAR, PROPHET_MULTIPLICATIVE, 0, false, true}},
    {"peyton_add", {"example_wp_log_peyton_manning.csv", 0, PROPHET_LINEAR, PROPHET_ADDITIVE, 0, false, true}},
    {"peyton_mult", {"example_wp_log_peyton_manning.csv", 0, PROPHET_LINEAR, PROPHET_MULTIPLICATIVE, 0, false, true}},
    {"wpR_logistic_cap8.5", {"example_wp_log_R.csv", 0, PROPHET_LOGISTIC, PROPHET_ADDITIVE, 8.5, false, true}},
    {"wpR_flat", {"example_wp_log_R.csv", 0, PROPHET_FLAT, PROPHET_ADDITIVE, 0, false, true}},
};

/* The lines of one fit stand together: name,algorithm,T,param,value. Returns false at the end of the file. */
static bool read_golden(FILE *file, golden *g)
{
    char line[256], name[64], algorithm[16], param[32];
    double value;
    memset(g, 0, sizeof *g);
    for (long before = ftell(file); fgets(line, sizeof line, file); before = ftell(file)) {
        if (sscanf(line, "%63[^,],%15[^,],%*d,%31[^,],%lf", name, algorithm, param, &value) != 4) continue;
        if (*g->name && (strcmp(name, g->name) || strcmp(algorithm, g->algorithm))) {
            fseek(file, before, SEEK_SET);
            return true;
        }
        strcpy(g->name, name);
        strcpy(g->algorithm, algorithm);
        if (!strcmp(param, "lp")) g->lp = value;
        if (!strcmp(param, "k")) g->k = value;
        if (!strcmp(param, "m")) g->m = value;
        if (!strcmp(param, "sigma_obs")) g->sigma = value;
        if (!strncmp(param, "delta", 5)) g->delta[atoi(param + 5) - 1] = value;
        if (!strncmp(param, "beta", 4)) g->beta[atoi(param + 4) - 1] = value;
    }
    return *g->name;
}

static void golden_fit(const golden *g, fit *f)
{
    for (size_t i = 0; i < sizeof SETUPS / sizeof *SETUPS; i++) {
        size_t n = strlen(SETUPS[i].prefix);
        if (strncmp(g->name, SETUPS[i].prefix, n)) continue;
        setup how = SETUPS[i].how;
        if (!how.rows) how.rows = (size_t)atoi(g->name + n);
        table data = read_table(how.file);
        fit_init(f, &data, &how);
        fi_free(data.rows);
        return;
    }
    fail_msg("no such problem: %s", g->name);
}

/*
 * Where Newton ends can hang on rounding: its halving search and the kinks of the prior turn a difference of 1e-16 into
 * another path. On these problems CmdStan 2.37, run on the very data of the test, is this far from rstan 2.21 itself:
 * air_mult +0.159, retail_add -2.9e-5, retail_mult +4.1e-6, logistic -1.9e-5. On all others both agree to 1e-6.
 */
static double newton_tolerance(const char *name)
{
    if (!strcmp(name, "air_mult")) return 0.2;
    if (!strcmp(name, "retail_add") || !strcmp(name, "tests80_logistic_cap100")) return 5e-5;
    if (!strcmp(name, "retail_mult")) return 1e-5;
    return 1e-6;
}

/* Calls check for every fit of rstan by `algorithm`; `lp` is the log posterior here of its parameters. */
static size_t for_each_golden(const char *algorithm, void (*check)(const golden *g, fit *f, double lp))
{
    FILE *file = fopen(shared_path("data/prophet/golden_stan_rstan221.csv"), "r");
    CHECK(file != NULL);
    golden g;
    size_t n = 0;
    while (read_golden(file, &g)) {
        if (strcmp(g.algorithm, algorithm)) continue;
        fit f;
        golden_fit(&g, &f);
        double *workspace = fi_alloc(3 * f.p.T, sizeof *workspace);
        prophet_point at = {g.k, g.m, g.sigma, g.delta, g.beta};
        check(&g, &f, prophet_log_posterior(&f.p, &at, NULL, workspace));
        fi_free(workspace);
        fit_release(&f);
        n++;
    }
    fclose(file);
    return n;
}

static void check_newton(const golden *g, fit *f, double lp)
{
    CHECK_CLOSE(lp, g->lp, 1e-11); /* the same problem: sigma, printed to 17 digits, is as small as 0.004 */
    solve(f, PROPHET_NEWTON);
    print_message("%-24s Newton  lp %.6f, Stan's %.6f, %+.1e; %zu iterations\n", g->name, f->cert.stan_log_posterior,
                  g->lp, f->cert.stan_log_posterior - g->lp, f->cert.iterations);
    CHECK(f->cert.converged);
    CHECK_NEAR(f->cert.stan_log_posterior, g->lp, newton_tolerance(g->name));
}

TEST(newton_ends_where_stans_does)
{
    CHECK_INT(for_each_golden("Newton", check_newton), 18);
}

/* L-BFGS is chaotic: CmdStan 2.37 is up to 1.03 above rstan 2.21 here, and a start moved by 1e-14 up to 3 nats away. */
static void check_lbfgs(const golden *g, fit *f, double lp)
{
    CHECK_CLOSE(lp, g->lp, 1e-11);
    solve(f, PROPHET_LBFGS);
    print_message("%-24s L-BFGS  lp %.6f, Stan's %.6f, %+.4f; %zu iterations\n", g->name, f->cert.stan_log_posterior,
                  g->lp, f->cert.stan_log_posterior - g->lp, f->cert.iterations);
    CHECK(f->cert.converged);
    CHECK_NEAR(f->cert.stan_log_posterior, g->lp, f->p.growth == PROPHET_FLAT ? 1e-6 : 5); /* flat: no kink matters */
}

TEST(lbfgs_ends_near_where_stans_does)
{
    CHECK_INT(for_each_golden("LBFGS", check_lbfgs), 12);
}

/* ---- the hold-out errors of Prophet's test suite ------------------------------------------------------------------- */

static void check_holdout(const char *file, size_t rows, bool minmax, prophet_algorithm algorithm, int digits,
                          double expected, double tolerance)
{
    enum { DAYS = 30 };
    table data = read_table(file);
    CHECK_INT(data.n, rows + DAYS);
    setup how = {file, rows, PROPHET_LINEAR, PROPHET_ADDITIVE, 0, minmax, false};
    fit f;
    fit_init(&f, &data, &how);
    solve(&f, algorithm);
    if (digits) {
        f.x.k = prophet_round_significant(f.x.k, digits);
        f.x.m = prophet_round_significant(f.x.m, digits);
        for (size_t j = 0; j < f.p.S; j++) f.delta[j] = prophet_round_significant(f.delta[j], digits);
        for (size_t j = 0; j < f.p.K; j++) f.beta[j] = prophet_round_significant(f.beta[j], digits);
    }
    double sum = 0; /* Prophet's test predicts the next 30 calendar days and compares them with the next 30 rows */
    for (size_t h = 0; h < DAYS; h++) {
        double e = predict(&f, data.rows[rows - 1].day + 1 + (double)h) - data.rows[rows + h].y;
        sum += e * e;
    }
    double rmse = sqrt(sum / DAYS);
    print_message("%s %s, %s: RMSE %.3f, Prophet's %.2f\n", file, minmax ? "minmax" : "absmax", f.cert.stop, rmse,
                  expected);
    CHECK_NEAR(rmse, expected, tolerance * expected);
    fi_free(data.rows);
    fit_release(&f);
}

TEST(holdout_errors_are_those_of_prophets_tests)
{
    check_holdout("tests_data.csv", 480, false, PROPHET_LBFGS, 0, 10.64, 0.1);
    check_holdout("tests_data.csv", 480, true, PROPHET_LBFGS, 0, 11.13, 0.1);
    check_holdout("tests_data.csv", 480, false, PROPHET_NEWTON, 0, 23.44, 0.01);
    check_holdout("tests_data.csv", 480, true, PROPHET_NEWTON, 0, 11.29, 0.01);
}

TEST(holdout_errors_for_large_numbers_depend_on_cmdstans_six_digits)
{
    check_holdout("tests_data3.csv", 40, false, PROPHET_AUTO, 6, 127.01, 0.01);
    check_holdout("tests_data3.csv", 40, true, PROPHET_AUTO, 6, 93.45, 0.01);
}

int main(void)
{
    require_shared("data/prophet/golden_stan_rstan221.csv");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starting_values_are_those_of_prophets_tests),
        cmocka_unit_test(newton_ends_where_stans_does),
        cmocka_unit_test(lbfgs_ends_near_where_stans_does),
        cmocka_unit_test(holdout_errors_are_those_of_prophets_tests),
        cmocka_unit_test(holdout_errors_for_large_numbers_depend_on_cmdstans_six_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
