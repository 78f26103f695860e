/* What tests of this room share: options set by name without a driver, and small series. */
#ifndef TESTS_PROPHET_SETUP_H
#define TESTS_PROPHET_SETUP_H

#include "base/alloc.h"
#include "check.h"
#include "prophet/prophet.h"

/* Sets one option as its table says; plain ones only when their text is a number or a name in lower case. */
static inline ftl_status set_option(prophet_config *config, const char *name, const char *text, ftl_error *err)
{
    for (size_t i = 0; i < PROPHET_N_OPTIONS; i++) {
        const fi_option *o = &prophet_options[i];
        if (strcmp(o->info.name, name) != 0) continue;
        char *field = (char *)config + o->offset;
        int index = 0;
        switch (o->info.type) {
        case FTL_OPTION_ITEM: return o->parse(config, text, err);
        case FTL_OPTION_TEXT:
            fi_free(*(char **)field);
            *(char **)field = *text ? fi_strdup(text) : NULL;
            return FTL_OK;
        case FTL_OPTION_FLAG: *(bool *)field = !strcmp(text, "true"); return FTL_OK;
        case FTL_OPTION_COUNT: *(int64_t *)field = strtoll(text, NULL, 10); return FTL_OK;
        case FTL_OPTION_REAL: *(double *)field = strtod(text, NULL); return FTL_OK;
        case FTL_OPTION_CHOICE:
            for (const char *p = o->info.choices; *p; p += strcspn(p, "|"), p += *p == '|', index++)
                if (strcspn(p, "|") == strlen(text) && !strncmp(p, text, strlen(text))) {
                    *(int *)field = index;
                    return FTL_OK;
                }
        }
    }
    fail_msg("no option %s=%s", name, text);
    return FTL_EINTERNAL;
}

/* "option=value|option=value" over the defaults. */
static inline prophet_config make_config(const char *options)
{
    prophet_config config;
    prophet_config_defaults(&config);
    char text[1024];
    snprintf(text, sizeof text, "%s", options);
    for (char *pair = strtok(text, "|"); pair; pair = strtok(NULL, "|")) {
        char *value = strchr(pair, '=');
        *value++ = '\0';
        ftl_error err = {FTL_OK, ""};
        if (set_option(&config, pair, value, &err)) fail_msg("%s=%s: %s", pair, value, err.message);
    }
    return config;
}

/* Times first, first + step, ... */
static inline void fill_times(ftl_time *ds, size_t n, ftl_time first, ftl_time step)
{
    for (size_t i = 0; i < n; i++) ds[i] = first + (ftl_time)i * step;
}

/* A series of dates with columns named by one string of blank-separated names. */
static inline ftl_series *make_series(const ftl_time *ds, const double *y, size_t n, const char *names,
                                      const double *const *columns)
{
    char text[256];
    const char *list[8];
    size_t n_columns = 0;
    snprintf(text, sizeof text, "%s", names);
    for (char *name = strtok(text, " "); name; name = strtok(NULL, " ")) list[n_columns++] = name;
    ftl_series *series = NULL;
    ftl_error err;
    if (ftl_series_new_full("", FTL_TIME_DATE, ds, y, n, list, columns, n_columns, &series, &err))
        fail_msg("%s", err.message);
    return series;
}

/* Prepares a series under options; the message of a refusal is in *err. */
static inline ftl_status prepare(const char *options, const ftl_series *series, prophet_model *model, ftl_error *err)
{
    prophet_config config = make_config(options);
    ftl_status st = prophet_config_check(&config, err);
    if (!st) st = prophet_prepare(&config, series, model, err);
    prophet_config_release_all(&config);
    return st;
}

#endif
