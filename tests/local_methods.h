/* For tests of the methods of src/stats: a series without a calendar, fitted and predicted in one call. */
#ifndef TESTS_LOCAL_METHODS_H
#define TESTS_LOCAL_METHODS_H

#include "check.h"

#include <foretell/forecaster.h>

/* Fits the series "a"; *out is NULL where that is refused. */
static inline ftl_status try_fit(const char *spec, const double *y, size_t n, ftl_model **out, ftl_error *err)
{
    ftl_config *config = NULL;
    ftl_series *s = NULL;
    CHECK_INT(ftl_config_new(spec, &config, NULL), FTL_OK);
    CHECK_INT(ftl_series_new("a", y, n, &s, NULL), FTL_OK);
    ftl_status st = ftl_model_fit(config, s, NULL, out, err);
    ftl_series_free(s);
    ftl_config_free(config);
    return st;
}

static inline ftl_model *fit(const char *spec, const double *y, size_t n)
{
    ftl_model *model = NULL;
    ftl_error err = {FTL_OK, ""};
    if (try_fit(spec, y, n, &model, &err)) fail_msg("%s: %s", spec, err.message);
    return model;
}

static inline ftl_forecast *forecast(const char *spec, const double *y, size_t n, ftl_predict_args args)
{
    ftl_model *model = fit(spec, y, n);
    ftl_forecast *fc = NULL;
    ftl_error err = {FTL_OK, ""};
    if (ftl_model_predict(model, &args, &fc, &err)) fail_msg("%s: %s", spec, err.message);
    ftl_model_free(model);
    return fc;
}

/* The fit is refused, with a message that holds `part`. */
static inline void check_unfit(const char *spec, const double *y, size_t n, const char *part)
{
    ftl_model *model = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(try_fit(spec, y, n, &model, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, part);
}

/* The annual flow of the Nile at Aswan, 1871 to 1970 (R's data set `Nile`). */
static const double nile[100] = {
    1120, 1160, 963,  1210, 1160, 1160, 813,  1230, 1370, 1140, 995,  935,  1110, 994, 1020, 960,  1180,
    799,  958,  1140, 1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774,  840,  874, 694,  940,  833,
    701,  916,  692,  1020, 1050, 969,  831,  726,  456,  824,  702,  1120, 1100, 832, 764,  821,  768,
    845,  864,  862,  698,  845,  744,  796,  1040, 759,  781,  865,  845,  944,  984, 897,  822,  1010,
    771,  676,  649,  846,  812,  742,  801,  1040, 860,  874,  848,  890,  744,  749, 838,  1050, 918,
    986,  797,  923,  975,  815,  1020, 906,  901,  1170, 912,  746,  919,  718,  714, 740};

#endif
