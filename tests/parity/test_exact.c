/* The exact solver against golden optima and against Stan's stopping points. */
#include "golden.h"

static json_t *golden_fits(void)
{
    char *text = NULL;
    size_t size = 0;
    json_t *fits = NULL;
    ftl_error err = {0};
    if (fi_file_read(shared_path("data/prophet/golden_map_exact.json"), 1 << 24, &text, &size, &err) ||
        fi_json_parse(text, size, "golden_map_exact.json", &fits, &err))
        fail_msg("%s", err.message);
    fi_free(text);
    return fits;
}

static void build(golden_problem *g, const json_t *fit)
{
    char file[128];
    double seasons[4][2], *changepoints = NULL;
    size_t n = 0, S = 0;
    const json_t *list = json_object_get(fit, "seasonalities"), *pair;
    json_array_foreach(list, n, pair) for (size_t i = 0; i < 2; i++) seasons[n][i] =
        json_number_value(json_array_get(pair, i));
    snprintf(file, sizeof file, "%s", json_string_value(json_object_get(fit, "file")));
    size_t rows = strchr(file, '[') ? (size_t)json_integer_value(json_object_get(fit, "T")) : 0;
    file[strcspn(file, "[")] = '\0';
    CHECK_INT(fi_json_get_reals(fit, "changepoints_t", &changepoints, &S, NULL), FTL_OK);
    const char *growth = json_string_value(json_object_get(fit, "growth"));
    const json_t *cap = json_object_get(fit, "cap");
    golden_build(g, file, rows, !strcmp(growth, "logistic") ? PROPHET_LOGISTIC : PROPHET_LINEAR,
                 !strcmp(json_string_value(json_object_get(fit, "mode")), "multiplicative"),
                 json_is_number(cap) ? json_number_value(cap) : NAN,
                 !strcmp(json_string_value(json_object_get(fit, "scaling")), "minmax"), (const double(*)[2])seasons,
                 json_array_size(list), changepoints, S);
    CHECK_INT(g->p.T, json_integer_value(json_object_get(fit, "T")));
    fi_free(changepoints);
}

TEST(all_golden_optima_are_reached_and_certified)
{
    json_t *fits = golden_fits(), *fit;
    size_t i;
    CHECK_INT(json_array_size(fits), 13);
    json_array_foreach(fits, i, fit)
    {
        golden_problem g;
        prophet_certificate cert;
        ftl_error err = {0};
        build(&g, fit);
        if (prophet_solve_exact(&g.p, &g.x, &cert, &err)) fail_msg("%s", err.message);
        double lp = json_real_value(json_object_get(fit, "log_posterior_propto"));
        print_message("%-24s lp %.9f  off %+.1e  KKT %.1e  gap %.1e\n", json_string_value(json_object_get(fit, "name")),
                      cert.log_posterior, cert.log_posterior - lp, cert.kkt_residual, cert.duality_gap);
        CHECK_NEAR(cert.log_posterior, lp, 1e-9 * fabs(lp)); /* the bar */
        CHECK(cert.kkt_residual < 1e-6);
        CHECK(cert.converged && !cert.degenerate);
        CHECK_CLOSE(g.x.sigma, json_real_value(json_object_get(fit, "sigma_obs")), 1e-8);
        CHECK_CLOSE(g.x.k, json_real_value(json_object_get(fit, "k")), 1e-6);
        CHECK_CLOSE(g.x.m, json_real_value(json_object_get(fit, "m")), 1e-6);
        if (cert.convex) CHECK(cert.duality_gap >= 0 && cert.duality_gap < 1e-5);
        double *workspace = fi_alloc(3 * g.p.T, sizeof(double));
        CHECK_NEAR(prophet_log_posterior(&g.p, &g.x, NULL, workspace), cert.log_posterior, 1e-9 * fabs(lp));
        fi_free(workspace);
        golden_release(&g);
    }
    json_decref(fits);
}

/* ---- Stan's stopping points: golden_stan_rstan221.csv (name, algorithm, T, param, value) ------------------------------ */

typedef struct stan_fit {
    char name[64], algorithm[16];
    size_t T, S, K;
    double lp;
} stan_fit;

/* R's automatic changepoints (its rounding differs from Python's at ties): rows round(1 + i (n - 1) / S). */
static size_t r_changepoints(const double *t, size_t T, double *out)
{
    size_t size = (size_t)floor((double)T * 0.8), S = 25;
    if (S + 1 > size) S = size - 1;
    for (size_t i = 1; i <= S; i++) out[i - 1] = t[(size_t)nearbyint(1.0 + (double)(i * (size - 1)) / (double)S) - 1];
    return S;
}

static const struct stan_case {
    const char *prefix, *file;
    prophet_growth growth;
    bool multiplicative;
    double cap;
    bool yearly, weekly;
} stan_cases[] = {
    {"tests_data_head", "tests_data.csv", PROPHET_LINEAR, false, 0, false, true},
    {"tests80_flat", "tests_data.csv", PROPHET_FLAT, false, 0, false, true},
    {"tests80_logistic_cap100", "tests_data.csv", PROPHET_LOGISTIC, false, 100, false, true},
    {"peyton_add", "example_wp_log_peyton_manning.csv", PROPHET_LINEAR, false, 0, true, true},
    {"peyton_mult", "example_wp_log_peyton_manning.csv", PROPHET_LINEAR, true, 0, true, true},
    {"air_add", "example_air_passengers.csv", PROPHET_LINEAR, false, 0, true, false},
    {"air_mult", "example_air_passengers.csv", PROPHET_LINEAR, true, 0, true, false},
    {"retail_add", "example_retail_sales.csv", PROPHET_LINEAR, false, 0, true, false},
    {"retail_mult", "example_retail_sales.csv", PROPHET_LINEAR, true, 0, true, false},
    {"wpR_flat", "example_wp_log_R.csv", PROPHET_FLAT, false, 0, true, true},
    {"wpR_logistic_cap8.5", "example_wp_log_R.csv", PROPHET_LOGISTIC, false, 8.5, true, true},
};

static const struct stan_case *case_of(const char *name)
{
    for (size_t i = 0; i < sizeof stan_cases / sizeof *stan_cases; i++)
        if (!strncmp(name, stan_cases[i].prefix, strlen(stan_cases[i].prefix))) return &stan_cases[i];
    fail_msg("no case for '%s'", name);
    return NULL;
}

static void check_not_below_stan(const stan_fit *fit)
{
    const struct stan_case *c = case_of(fit->name);
    double seasons[2][2], changepoints[32] = {0};
    size_t n = 0;
    if (c->yearly) seasons[n][0] = 365.25, seasons[n++][1] = 10;
    if (c->weekly && (fit->K >= 6)) seasons[n][0] = 7, seasons[n++][1] = 3;
    golden_problem g;
    golden_build(&g, c->file, fit->T, c->growth, c->multiplicative, c->growth == PROPHET_LOGISTIC ? c->cap : NAN, false,
                 (const double(*)[2])seasons, n, changepoints, 0);
    size_t S = r_changepoints(g.t, g.p.T, changepoints);
    golden_release(&g);
    golden_build(&g, c->file, fit->T, c->growth, c->multiplicative, c->growth == PROPHET_LOGISTIC ? c->cap : NAN, false,
                 (const double(*)[2])seasons, n, changepoints, S);
    CHECK_INT(g.p.S, fit->S);
    CHECK_INT(g.p.K, fit->K);
    prophet_certificate cert;
    ftl_error err = {0};
    if (prophet_solve_exact(&g.p, &g.x, &cert, &err)) fail_msg("%s", err.message);
    print_message("%-24s %-6s exact %.6f  stan %.6f  ahead %+.2e  KKT %.1e  modes %zu\n", fit->name, fit->algorithm,
                  cert.log_posterior, fit->lp, cert.log_posterior - fit->lp, cert.kkt_residual, cert.n_modes);
    CHECK(cert.log_posterior >= fit->lp - 1e-9 * fabs(fit->lp));
    CHECK(cert.converged);
    golden_release(&g);
}

TEST(exact_is_never_below_stan)
{
    char line[256], last[96] = "";
    stan_fit fit = {0};
    size_t fits = 0;
    FILE *file = fopen(shared_path("data/prophet/golden_stan_rstan221.csv"), "r");
    CHECK(file != NULL);
    CHECK(fgets(line, sizeof line, file) != NULL);
    for (bool more = true; more;) {
        char name[64] = "", algorithm[16] = "", param[32] = "", key[96];
        size_t T = 0;
        double value = 0;
        more = fgets(line, sizeof line, file) &&
               sscanf(line, "%63[^,],%15[^,],%zu,%31[^,], %lf", name, algorithm, &T, param, &value) == 5;
        snprintf(key, sizeof key, "%s %s", name, algorithm);
        if (!more || strcmp(key, last)) {
            if (*last) check_not_below_stan(&fit), fits++;
            fit = (stan_fit){.T = T};
            snprintf(fit.name, sizeof fit.name, "%s", name);
            snprintf(fit.algorithm, sizeof fit.algorithm, "%s", algorithm);
            snprintf(last, sizeof last, "%s", key);
        }
        if (!strcmp(param, "lp")) fit.lp = value;
        fit.S += !strncmp(param, "delta", 5);
        fit.K += !strncmp(param, "beta", 4);
    }
    fclose(file);
    CHECK_INT(fits, 30);
}

int main(void)
{
    require_shared("data/prophet/golden_map_exact.json");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_golden_optima_are_reached_and_certified),
        cmocka_unit_test(exact_is_never_below_stan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
