/* Any bytes as a saved model: it is refused with a message, or it predicts, saves, and loads again to the same. */
#include <foretell/foretell.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

static bool loads_again(const ftl_model *model)
{
    char *text = NULL, *twice = NULL;
    ftl_model *again = NULL;
    ftl_error err;
    if (ftl_model_save_text(model, &text, &err)) return false;
    REQUIRE(!ftl_model_load_text(text, strlen(text), "own", &again, &err));
    REQUIRE(!ftl_model_save_text(again, &twice, &err));
    REQUIRE(strcmp(text, twice) == 0);
    ftl_model_free(again);
    ftl_text_free(twice);
    ftl_text_free(text);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ftl_model *model = NULL;
    ftl_forecast *fc = NULL;
    ftl_error err = {FTL_OK, ""};
    if (ftl_model_load_text((const char *)data, size, "fuzz", &model, &err)) {
        REQUIRE(!model && err.code && *err.message);
        return 0;
    }
    ftl_predict_args args = FTL_PREDICT_DEFAULTS;
    args.horizon = 3;
    args.history = args.components = true;
    if (!ftl_model_predict(model, &args, &fc, &err))
        for (size_t i = 0; i < ftl_forecast_n_rows(fc); i++)
            REQUIRE(i < ftl_forecast_n_history(fc) || isfinite(ftl_forecast_point(fc)[i]));
    ftl_forecast_free(fc);
    char *told = NULL;
    if (!ftl_model_explain(model, &told, &err)) ftl_text_free(told);
    for (size_t i = 0; i < ftl_model_n_profiles(model); i++) {
        ftl_profile *profile = NULL;
        if (!ftl_model_profile(model, i, &profile, &err)) ftl_profile_free(profile);
    }
    loads_again(model);
    ftl_model_free(model);
    return 0;
}
