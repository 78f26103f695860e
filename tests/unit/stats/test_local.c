/* The layer that makes forecasters of methods: quantiles of draws, hostile files, what does not change what. */
#include "local_methods.h"

#include "stats/local.h"

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

TEST(sample_quantiles_are_those_of_a_sorted_sample)
{
    static const double levels[] = {0.001, 0.1, 0.101, 0.5, 0.75, 0.9999};
    uint64_t random = 5;
    for (size_t n = 1; n < 300; n += 1 + n / 7) {
        double values[300], sorted[300], q[6];
        for (size_t kind = 0; kind < 4; kind++) {
            for (size_t i = 0; i < n; i++) {
                random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                values[i] = kind == 0   ? (double)(random >> 40)
                            : kind == 1 ? (double)(random >> 62)
                            : kind == 2 ? (double)i
                                        : -(double)i;
            }
            memcpy(sorted, values, n * sizeof *values);
            qsort(sorted, n, sizeof *sorted, by_value);
            fi_sample_quantiles(values, n, levels, 6, q);
            for (size_t k = 0; k < 6; k++) {
                double at = levels[k] * (double)(n - 1);
                size_t i = (size_t)at, next = i + 1 < n ? i + 1 : i;
                CHECK_NEAR(q[k], sorted[i] + (at - (double)i) * (sorted[next] - sorted[i]), 0);
            }
        }
    }
}

TEST(root_mean_squares_pass_over_gaps_and_do_not_overflow)
{
    const double y[] = {3e200, NAN, -4e200}, none[] = {NAN};
    CHECK_CLOSE(fi_rms(y, 3) / 1e200, sqrt(12.5), 1e-15);
    CHECK(isnan(fi_rms(none, 1)));
}

TEST(the_history_does_not_change_the_paths_of_the_future)
{
    const ftl_predict_args with = {.horizon = 4, .n_samples = 3, .seed = 2, .history = true},
                           without = {.horizon = 4, .n_samples = 3, .seed = 2};
    ftl_forecast *a = forecast("seasonal-naive:season=5", nile, 30, with),
                 *b = forecast("seasonal-naive:season=5", nile, 30, without);
    CHECK(!memcmp(ftl_forecast_samples(a) + 30 * 3, ftl_forecast_samples(b), 12 * sizeof(double)));
    ftl_forecast_free(a);
    ftl_forecast_free(b);
}

/* Replaces `from` in the text of a saved model and expects a refusal that holds `part`. */
static void check_refused(const char *saved, const char *from, const char *to, const char *part)
{
    const char *found = strstr(saved, from);
    CHECK(found != NULL);
    char *text = malloc(strlen(saved) + strlen(to) + 1);
    sprintf(text, "%.*s%s%s", (int)(found - saved), saved, to, found + strlen(from));
    ftl_model *model = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_model_load_text(text, strlen(text), "hostile", &model, &err), FTL_EDATA);
    CHECK(model == NULL);
    CHECK_CONTAINS(err.message, part);
    free(text);
}

TEST(a_hostile_file_is_refused)
{
    const double y[] = {1, 2, 4, 8, 16, 32};
    ftl_config *config = NULL;
    ftl_series *s = NULL;
    ftl_model *model = NULL;
    char *saved = NULL;
    CHECK_INT(ftl_config_new("seasonal-window-mean:season=2", &config, NULL), FTL_OK);
    CHECK_INT(ftl_series_new("a", y, 6, &s, NULL), FTL_OK);
    CHECK_INT(ftl_model_fit(config, s, NULL, &model, NULL), FTL_OK);
    CHECK_INT(ftl_model_save_text(model, &saved, NULL), FTL_OK);
    CHECK_CONTAINS(saved, "\"counts\":[3.0,3.0]");
    check_refused(saved, "\"counts\":[3.0,3.0]", "\"counts\":[3.0,3.0,3.0]", "must be arrays of one length");
    check_refused(saved, "\"counts\":[3.0,3.0]", "\"counts\":[3.0,null]", "do not go together");
    check_refused(saved, "\"window\":3", "\"window\":-3", "must not be negative");
    check_refused(saved, "\"season\":2", "\"season\":6", "a history of 6");
    check_refused(saved, "\"season\":2", "\"season\":0", "a history of 6");
    check_refused(saved, "\"ds\":[1,2", "\"ds\":[2,2", "ascending");
    check_refused(saved, "\"ds\":[1,2", "\"ds\":[2", "do not go together");
    check_refused(saved, "\"kind\":0", "\"kind\":7", "do not go together");
    check_refused(saved, "\"ds\"", "\"regressors\":[\"x\"],\"x\":[1,2,3,4,5,6],\"ds\"", "do not go together");
    ftl_text_free(saved);
    ftl_model_free(model);
    ftl_series_free(s);
    ftl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_quantiles_are_those_of_a_sorted_sample),
        cmocka_unit_test(root_mean_squares_pass_over_gaps_and_do_not_overflow),
        cmocka_unit_test(the_history_does_not_change_the_paths_of_the_future),
        cmocka_unit_test(a_hostile_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
