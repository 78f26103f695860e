/*
 * Many series in batches, for models that forecast many at once and use several threads by themselves: fit as many as
 * make a batch, predict them together, hand the results over, and go on. Memory is that of one batch.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "forecast/driver.h"

typedef struct batch {
    ftl_model **models; /* [room] NULL where the fit failed */
    ftl_forecast **forecasts;
    ftl_error *errors;
    ftl_predict_args *args;
    size_t room, n;
} batch;

typedef struct run {
    const ftl_config *config;
    const ftl_panel *panel, *future;
    const ftl_fit_args *fit;
    const ftl_predict_args *predict;
    size_t done; /* series handed over */
} run;

static void batch_clear(batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        ftl_forecast_free(b->forecasts[i]);
        ftl_model_free(b->models[i]);
    }
    b->n = 0;
}

static void batch_release(batch *b)
{
    batch_clear(b);
    fi_free(b->models);
    fi_free(b->forecasts);
    fi_free(b->errors);
    fi_free(b->args);
}

static ftl_status make_room(batch *b, ftl_error *err)
{
    size_t room[4] = {b->room, b->room, b->room, b->room};
    if (fi_grow(&b->models, &room[0], b->n + 1, sizeof *b->models) ||
        fi_grow(&b->forecasts, &room[1], b->n + 1, sizeof *b->forecasts) ||
        fi_grow(&b->errors, &room[2], b->n + 1, sizeof *b->errors) ||
        fi_grow(&b->args, &room[3], b->n + 1, sizeof *b->args))
        return fi_fail_memory(err);
    b->room = room[0];
    return FTL_OK;
}

/* Fits the next series. *size: how many make a batch, known with the first model. */
static ftl_status fit_one(const run *r, batch *b, size_t *size, ftl_error *err)
{
    ftl_status st = make_room(b, err);
    if (st) return st;
    size_t i = b->n++;
    const ftl_series *s = ftl_panel_series(r->panel, r->done + i);
    ftl_fit_args fit = *r->fit;
    if (ftl_panel_n_series(r->panel) > 1) fit.progress = NULL; /* progress counts series */
    b->errors[i] = (ftl_error){FTL_OK, ""};
    b->forecasts[i] = NULL;
    if (!ftl_model_fit(r->config, s, &fit, &b->models[i], &b->errors[i]) && r->predict) {
        b->args[i] = *r->predict;
        fi_find_future(r->future, s, &b->args[i].future, &b->errors[i]);
    }
    if (b->models[i] && !*size) *size = r->config->forecaster->batch_size(b->models[i]->state);
    return FTL_OK;
}

static ftl_status deliver(run *r, const batch *b, ftl_panel_fn sink, void *user)
{
    size_t total = ftl_panel_n_series(r->panel);
    for (size_t i = 0; i < b->n; i++) {
        const ftl_panel_result view = {r->done, ftl_panel_series(r->panel, r->done), b->models[i], b->forecasts[i],
                                       &b->errors[i]};
        bool go_on = sink(user, &view);
        r->done++;
        if (go_on && r->fit->progress && total > 1) go_on = r->fit->progress(r->fit->progress_user, r->done, total);
        if (!go_on) return FTL_ECANCELLED;
    }
    return FTL_OK;
}

ftl_status fi_forecast_batches(const ftl_config *config, const ftl_panel *panel, const ftl_panel *future,
                               const ftl_fit_args *fit, const ftl_predict_args *predict, ftl_panel_fn sink, void *user,
                               ftl_error *err)
{
    enum { UNTIL_KNOWN = 32 }; /* failed fits that make a batch while no model tells its size */
    run r = {config, panel, future, fit, predict, 0};
    batch b = {0};
    ftl_status st = FTL_OK;
    size_t size = 0, n = ftl_panel_n_series(panel);
    while (!st && r.done < n) {
        while (!st && r.done + b.n < n && b.n < (size ? size : UNTIL_KNOWN)) st = fit_one(&r, &b, &size, err);
        if (!st && predict)
            st = fi_models_predict(b.models, b.args, b.n, fit->progress, fit->progress_user, b.forecasts, b.errors);
        if (!st) st = deliver(&r, &b, sink, user);
        batch_clear(&b);
    }
    batch_release(&b);
    if (st == FTL_ENOMEM) return fi_fail_memory(err);
    return st ? fi_fail(err, st, "cancelled after %zu of %zu series", r.done, n) : FTL_OK;
}
