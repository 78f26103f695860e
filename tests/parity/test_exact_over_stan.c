/*
 * On real series of many frequencies: the exact optimum is never below the point where Stan's optimiser stops, both
 * evaluated by the same objective, and every fit is certified.
 */
#include "check.h"

#include <foretell/foretell.h>

#include "base/json.h"

static const struct {
    const char *file;
    size_t stride; /* every so many-th series, to keep the test short */
} sets[] = {{"m4_sample_daily", 4},    {"m5_sample", 4}, {"m3_monthly", 60}, {"tourism_quarterly", 30},
            {"m3_yearly", 40},         {"hospital", 50}, {"nn3", 12},        {"vehicle_trips", 40},
            {"electricity_weekly", 40}};

static const char *const specs[] = {"prophet:solver=stan", "prophet:solver=stan,seasonality_mode=multiplicative",
                                    "prophet:solver=stan,scaling=minmax", "prophet:solver=stan,growth=flat"};

typedef struct tally {
    size_t fits, unbounded;
    double most, least;
} tally;

static void one(const char *spec, const ftl_series *series, tally *t)
{
    ftl_config *config = NULL;
    ftl_model *model = NULL;
    ftl_error err = {FTL_OK, ""};
    char *text = NULL;
    json_t *report = NULL;
    if (ftl_config_new(spec, &config, &err) || ftl_model_fit(config, series, NULL, &model, &err) ||
        ftl_model_explain(model, &text, &err) || fi_json_parse(text, strlen(text), "explain", &report, &err))
        fail_msg("%s: %s", spec, err.message);
    double exact = json_number_value(json_object_get(report, "exact_log_posterior")),
           stan = json_number_value(json_object_get(report, "log_posterior"));
    size_t rows = (size_t)json_integer_value(json_object_get(report, "observations")),
           coefficients = 2 + (size_t)json_integer_value(json_object_get(report, "columns")) +
                          json_array_size(json_object_get(report, "changepoints"));
    /* With fewer rows than coefficients a multiplicative posterior is unbounded and has many optima: no order holds. */
    if (!json_is_number(json_object_get(report, "exact_log_posterior")) ||
        (rows <= coefficients && strstr(spec, "multiplicative")))
        t->unbounded++;
    else {
        if (exact < stan - 1e-9 * fabs(stan))
            fail_msg("%s, series %s: exact %.9f below Stan's %.9f", spec, ftl_series_id(series), exact, stan);
        t->most = fmax(t->most, exact - stan);
        t->least = fmin(t->least, exact - stan);
    }
    t->fits++;
    json_decref(report);
    ftl_text_free(text);
    ftl_model_free(model);
    ftl_config_free(config);
}

TEST(exact_is_never_below_stan_on_real_series)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        char inside[64];
        ftl_panel *panel = NULL;
        ftl_error err = {FTL_OK, ""};
        tally t = {.most = -INFINITY, .least = INFINITY};
        snprintf(inside, sizeof inside, "data/%s.csv.gz", sets[i].file);
        if (ftl_panel_read_csv(shared_path(inside), NULL, &panel, &err)) fail_msg("%s", err.message);
        for (size_t j = 0; j < ftl_panel_n_series(panel); j += sets[i].stride)
            for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) one(specs[k], ftl_panel_series(panel, j), &t);
        print_message("%-20s %3zu fits, exact ahead by %.2e .. %.2e nats, %zu unbounded\n", sets[i].file, t.fits,
                      t.least, t.most, t.unbounded);
        ftl_panel_free(panel);
    }
}

int main(void)
{
    require_shared("data/m3_monthly.csv.gz");
    const struct CMUnitTest tests[] = {cmocka_unit_test(exact_is_never_below_stan_on_real_series)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
