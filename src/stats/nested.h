/* Forecasters made of others: MSTL of one for what is left without seasons, ensembles of several. */
#ifndef FI_STATS_NESTED_H
#define FI_STATS_NESTED_H

#include "forecast/forecaster.h"

/*
 * A configuration from the text of an option of `host`, refused (FTL_EINVAL) where the one may not stand in the other:
 * ensembles take all but ensembles, mstl and stl neither those nor each other. So no file nests without end.
 */
ftl_status fi_nested_config(const ftl_forecaster *host, const char *spec, ftl_config **out, ftl_error *err);

/* A model as part of the file of its host, and back; how it explains itself. New references. */
ftl_status fi_nested_save(const ftl_model *model, json_t **out, ftl_error *err);
ftl_status fi_nested_load(const ftl_forecaster *host, const json_t *object, ftl_model **out, ftl_error *err);
ftl_status fi_nested_explain(const ftl_model *model, json_t **out, ftl_error *err);

#endif
