/* Models that fbprophet 0.6.1 and 0.7.1 and prophet 1.0.1 wrote (they ship with Prophet's tests), as its tests use them. */
#include "check.h"

#include "base/alloc.h"
#include "base/file.h"

#include <foretell/foretell.h>

static void check_last_yhat(const char *version, double expected)
{
    char path[256], *text = NULL;
    size_t size = 0;
    ftl_model *m = NULL;
    ftl_forecast *fc = NULL;
    ftl_error err = {FTL_OK, ""};
    snprintf(path, sizeof path, "data/prophet/serialized_model_v%s.json", version);
    CHECK_INT(fi_file_read(shared_path(path), 1 << 20, &text, &size, NULL), FTL_OK);
    if (ftl_model_load_text(text, size, path, &m, &err)) fail_msg("%s", err.message);
    fi_free(text);
    ftl_predict_args args = FTL_PREDICT_DEFAULTS;
    args.horizon = 10;
    CHECK_INT(ftl_model_predict(m, &args, &fc, NULL), FTL_OK);
    CHECK_INT(ftl_forecast_times(fc)[9], ftl_time_of((ftl_date){2020, 1, 30}));
    CHECK_NEAR(ftl_forecast_point(fc)[9], expected, 1e-6 * expected); /* the tolerance of Prophet's own test */
    ftl_forecast_free(fc);
    ftl_model_free(m);
}

TEST(old_files_predict_as_prophets_tests_say)
{
    check_last_yhat("0.6.1.dev0", 29.3669923968994);
    check_last_yhat("0.7.1", 29.282810844704414);
    check_last_yhat("1.0.1", 29.282810844704414);
}

int main(void)
{
    require_shared("data/prophet/serialized_model_v1.0.1.json");
    const struct CMUnitTest tests[] = {cmocka_unit_test(old_files_predict_as_prophets_tests_say)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
