/*
 * Many series on several threads. The calling thread works too, and hands results over in order as soon as they are
 * ready; a worker that gets more than a window ahead of it waits, so that memory is bounded by the window.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/threads.h"
#include "forecast/driver.h"

#include <pthread.h>

enum { MAX_THREADS = 256, WINDOW_PER_THREAD = 16 };

typedef struct result {
    bool ready;
    ftl_model *model;
    ftl_forecast *forecast;
    ftl_error error;
} result;

typedef struct run {
    const ftl_config *config;
    const ftl_panel *panel, *future;
    const ftl_fit_args *fit;
    const ftl_predict_args *predict;
    size_t n_series;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* a result is ready, the window moved on, or all is to stop */
    size_t next, done;    /* next series to take; series handed over */
    bool stop;
    result *ring; /* [window]: series i lies at i % window */
    size_t window;
} run;

ftl_status fi_find_future(const ftl_panel *future, const ftl_series *s, const ftl_series **out, ftl_error *err)
{
    *out = NULL;
    if (!future) return FTL_OK;
    /* Future rows without ids are those of every series. */
    *out = !ftl_panel_has_ids(future) && ftl_panel_n_series(future) == 1 ? ftl_panel_series(future, 0)
                                                                         : ftl_panel_find(future, s->id);
    return *out ? FTL_OK : fi_fail(err, FTL_EDATA, "series '%s': there are no future rows of it to predict", s->id);
}

static void forecast_one(run *r, size_t index, result *out)
{
    const ftl_series *s = ftl_panel_series(r->panel, index);
    ftl_fit_args fit = *r->fit;
    if (r->n_series > 1) fit.progress = NULL; /* progress counts series, and belongs to the calling thread */
    out->error = (ftl_error){FTL_OK, ""};
    ftl_status st = ftl_model_fit(r->config, s, &fit, &out->model, &out->error);
    if (st || !r->predict) return;
    ftl_predict_args predict = *r->predict;
    st = fi_find_future(r->future, s, &predict.future, &out->error);
    if (!st) ftl_model_predict(out->model, &predict, &out->forecast, &out->error);
}

static void release(result *x)
{
    ftl_forecast_free(x->forecast);
    ftl_model_free(x->model);
    x->forecast = NULL;
    x->model = NULL;
    x->ready = false;
}

/* Takes the next series if the window allows, works on it unlocked, and marks it ready. Called and left locked. */
static bool take(run *r)
{
    if (r->stop || r->next >= r->n_series || r->next >= r->done + r->window) return false;
    size_t index = r->next++;
    result *x = &r->ring[index % r->window];
    pthread_mutex_unlock(&r->lock);
    forecast_one(r, index, x);
    pthread_mutex_lock(&r->lock);
    x->ready = true;
    if (index == r->done) pthread_cond_broadcast(&r->moved);
    return true;
}

static void *work(void *argument)
{
    run *r = argument;
    pthread_mutex_lock(&r->lock);
    while (!r->stop && r->next < r->n_series)
        if (!take(r)) pthread_cond_wait(&r->moved, &r->lock);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static bool deliver(run *r, ftl_panel_fn sink, void *user)
{
    result *x = &r->ring[r->done % r->window];
    const ftl_panel_result view = {r->done, ftl_panel_series(r->panel, r->done), x->model, x->forecast, &x->error};
    bool go_on = sink(user, &view);
    release(x);
    if (go_on && r->fit->progress && r->n_series > 1)
        go_on = r->fit->progress(r->fit->progress_user, r->done + 1, r->n_series);
    return go_on;
}

/* The calling thread: hands over what is ready, else works, else waits. */
static ftl_status lead(run *r, ftl_panel_fn sink, void *user)
{
    ftl_status st = FTL_OK;
    pthread_mutex_lock(&r->lock);
    while (!st && r->done < r->n_series) {
        if (r->ring[r->done % r->window].ready) {
            pthread_mutex_unlock(&r->lock);
            if (!deliver(r, sink, user)) st = FTL_ECANCELLED;
            pthread_mutex_lock(&r->lock);
            r->done++;
            pthread_cond_broadcast(&r->moved);
        } else if (!take(r)) {
            pthread_cond_wait(&r->moved, &r->lock);
        }
    }
    r->stop = true;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
    return st;
}

ftl_status ftl_forecast_panel(const ftl_config *config, const ftl_panel *panel, const ftl_panel *future,
                              const ftl_fit_args *fit, const ftl_predict_args *predict, size_t n_threads,
                              ftl_panel_fn sink, void *user, ftl_error *err)
{
    static const ftl_fit_args no_args;
    pthread_t threads[MAX_THREADS];
    size_t started = 0, n = ftl_panel_n_series(panel);
    ftl_fit_args own = fit ? *fit : no_args;
    if (!own.n_threads) own.n_threads = n_threads;
    if (config->forecaster->predict_batch)
        return fi_forecast_batches(config, panel, future, &own, predict, sink, user, err);
    if (!n_threads) n_threads = fi_cpu_count();
    if (n_threads > MAX_THREADS) n_threads = MAX_THREADS;
    if (n_threads > n) n_threads = n ? n : 1;
    run r = {.config = config, .panel = panel, .future = future, .fit = &own, .predict = predict};
    r.n_series = n;
    r.window = n_threads * WINDOW_PER_THREAD;
    r.ring = fi_calloc(r.window, sizeof *r.ring);
    if (!r.ring) return fi_fail_memory(err);
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.moved, NULL);
    while (started + 1 < n_threads && !pthread_create(&threads[started], NULL, work, &r)) started++;
    ftl_status st = lead(&r, sink, user);
    for (size_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < r.window; i++) release(&r.ring[i]);
    pthread_cond_destroy(&r.moved);
    pthread_mutex_destroy(&r.lock);
    fi_free(r.ring);
    return st ? fi_fail(err, st, "cancelled after %zu of %zu series", r.done, n) : FTL_OK;
}
