/*
 * From the CSV file to the certified optimum, through the public interface: the 13 fits of golden_map_exact.json (an
 * independent solver), and the starting values that Prophet's own tests expect.
 */
#include "check.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "prophet/prophet.h"

#include <foretell/foretell.h>

static const double y_only = 0;

/* The first n rows of a shared file (0: all), with a constant cap where it is not NaN. */
static ftl_series *read_series(const char *file, size_t n, double cap)
{
    char path[512];
    snprintf(path, sizeof path, "data/prophet/%s", file);
    ftl_panel *panel = NULL;
    ftl_error err;
    if (ftl_panel_read_csv(shared_path(path), NULL, &panel, &err)) fail_msg("%s", err.message);
    const ftl_series *all = ftl_panel_series(panel, 0);
    if (!n) n = ftl_series_n_obs(all);
    double *caps = fi_alloc(n, sizeof *caps);
    for (size_t i = 0; i < n; i++) caps[i] = cap;
    const double *columns[] = {isnan(cap) ? &y_only : caps};
    const char *names[] = {"cap"};
    ftl_series *s = NULL;
    CHECK_INT(ftl_series_new_full("", ftl_series_time_kind(all), ftl_series_times(all), ftl_series_values(all), n,
                                  names, columns, isnan(cap) ? (size_t)0 : 1, &s, NULL),
              FTL_OK);
    fi_free(caps);
    ftl_panel_free(panel);
    return s;
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static json_t *parse(char *owned)
{
    json_t *object = NULL;
    CHECK_INT(fi_json_parse(owned, strlen(owned), "text", &object, NULL), FTL_OK);
    ftl_text_free(owned);
    return object;
}

static void check_fit(const json_t *golden)
{
    char file[128], spec[256];
    unsigned long n = 0;
    snprintf(file, sizeof file, "%s", text(golden, "file"));
    char *slice = strstr(file, "[:");
    if (slice) {
        n = strtoul(slice + 2, NULL, 10);
        *slice = '\0';
    }
    snprintf(spec, sizeof spec, "prophet:growth=%s,seasonality_mode=%s,scaling=%s", text(golden, "growth"),
             text(golden, "mode"), text(golden, "scaling"));
    ftl_series *s = read_series(file, n, number(golden, "cap"));
    ftl_config *config = NULL;
    ftl_model *m = NULL;
    char *told = NULL, *saved = NULL;
    ftl_error err;
    if (ftl_config_new(spec, &config, &err) || ftl_model_fit(config, s, NULL, &m, &err) ||
        ftl_model_explain(m, &told, &err) || ftl_model_save_text(m, &saved, &err))
        fail_msg("%s: %s", text(golden, "name"), err.message);
    json_t *explained = parse(told), *model = parse(saved);
    double lp = number(golden, "log_posterior_propto");
    CHECK_NEAR(number(explained, "log_posterior"), lp, 1e-9 * lp);
    CHECK(number(explained, "kkt_residual") < 1e-6);
    CHECK_INT(number(explained, "observations"), number(golden, "T"));
    CHECK_CLOSE(number(explained, "sigma_obs"), number(golden, "sigma_obs"), 1e-9);
    CHECK_CLOSE(number(model, "y_scale"), number(golden, "y_scale"), 1e-14);
    CHECK_NEAR(number(model, "t_scale"), number(golden, "t_scale_seconds"), 0);
    double *ours = NULL, *theirs = NULL;
    size_t n_ours = 0, n_theirs = 0;
    CHECK_INT(fi_json_get_reals(model, "changepoints_t", &ours, &n_ours, NULL), FTL_OK);
    CHECK_INT(fi_json_get_reals(golden, "changepoints_t", &theirs, &n_theirs, NULL), FTL_OK);
    CHECK_INT(n_ours, n_theirs);
    for (size_t i = 0; i < n_ours; i++) CHECK_NEAR(ours[i], theirs[i], 1e-15);
    fi_free(ours);
    fi_free(theirs);
    CHECK_INT(fi_json_get_reals(json_object_get(model, "params"), "beta", &ours, &n_ours, NULL), FTL_OK);
    CHECK_INT(fi_json_get_reals(golden, "beta", &theirs, &n_theirs, NULL), FTL_OK);
    CHECK_INT(n_ours, n_theirs);
    for (size_t i = 0; i < n_ours; i++) CHECK_NEAR(ours[i], theirs[i], 1e-7); /* sqrt of the agreement in lp */
    fi_free(ours);
    fi_free(theirs);
    json_decref(explained);
    json_decref(model);
    ftl_model_free(m);
    ftl_config_free(config);
    ftl_series_free(s);
}

TEST(golden_fits_from_the_file_to_the_optimum)
{
    char *content = NULL;
    size_t size = 0, i;
    json_t *list = NULL, *golden;
    CHECK_INT(fi_file_read(shared_path("data/prophet/golden_map_exact.json"), 1 << 24, &content, &size, NULL), FTL_OK);
    CHECK_INT(fi_json_parse(content, size, "golden", &list, NULL), FTL_OK);
    CHECK_INT(json_array_size(list), 13);
    json_array_foreach(list, i, golden) check_fit(golden);
    json_decref(list);
    fi_free(content);
}

TEST(starting_values_of_prophets_own_tests)
{
    static const struct {
        int growth, scaling;
        double k, m;
    } cases[] = {
        {PROPHET_LINEAR, PROPHET_ABSMAX, 0.3055671, 0.5307511},
        {PROPHET_LOGISTIC, PROPHET_ABSMAX, 1.507925, -0.08167497},
        {PROPHET_FLAT, PROPHET_ABSMAX, 0, 0.49335657},
        {PROPHET_LINEAR, PROPHET_MINMAX, 0.4053406, 0.3775322},
        {PROPHET_LOGISTIC, PROPHET_MINMAX, 1.782523, 0.280521},
        {PROPHET_FLAT, PROPHET_MINMAX, 0, 0.32792770},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        prophet_config config;
        prophet_model m;
        prophet_config_defaults(&config);
        config.growth = cases[i].growth;
        config.scaling = cases[i].scaling;
        ftl_series *plain = read_series("tests_data.csv", 468, NAN);
        double cap = 0;
        for (size_t r = 0; r < 468; r++) cap = fmax(cap, ftl_series_values(plain)[r]);
        ftl_series *s = read_series("tests_data.csv", 468, cap);
        ftl_error err;
        if (prophet_prepare(&config, s, &m, &err)) fail_msg("%s", err.message);
        prophet_problem p = {.T = m.history.n,
                             .growth = (prophet_growth)config.growth,
                             .y = m.history.y_scaled,
                             .t = m.history.t,
                             .cap = m.history.cap_scaled};
        prophet_point x = {0};
        prophet_initial_point(&p, &x);
        CHECK_NEAR(x.k, cases[i].k, 1e-6);
        CHECK_NEAR(x.m, cases[i].m, 1e-6);
        prophet_model_release(&m);
        ftl_series_free(s);
        ftl_series_free(plain);
    }
}

int main(void)
{
    require_shared("data/prophet/golden_map_exact.json");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_fits_from_the_file_to_the_optimum),
        cmocka_unit_test(starting_values_of_prophets_own_tests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
