/* A stranger's program: forecasts a year of a made-up monthly series with what was installed, and nothing else. */
#include <foretell/foretell.h>
#include <math.h>
#include <stdio.h>

int main(void)
{
    double y[96];
    for (int i = 0; i < 96; i++) y[i] = 100 + i + 10 * sin(i * 0.5235987755982988);
    ftl_error err = {FTL_OK, ""};
    ftl_series *series = NULL;
    ftl_config *config = NULL;
    ftl_model *model = NULL;
    ftl_forecast *forecast = NULL;
    ftl_predict_args args = FTL_PREDICT_DEFAULTS;
    args.horizon = 12;
    if (ftl_series_new("made-up", y, 96, &series, &err) || ftl_config_new("prophet", &config, &err) ||
        ftl_model_fit(config, series, NULL, &model, &err) || ftl_model_predict(model, &args, &forecast, &err))
        printf("%s\n", err.message);
    else
        printf("foretell %s: %zu rows\n", ftl_version(), ftl_forecast_n_rows(forecast));
    ftl_forecast_free(forecast);
    ftl_model_free(model);
    ftl_config_free(config);
    ftl_series_free(series);
    return err.code;
}
