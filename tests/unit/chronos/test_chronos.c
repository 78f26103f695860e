/* What the families share: directories, checks, batches, levels, order. Run on the toy models, which have learnt nothing. */
#include "check.h"

#include "base/alloc.h"

#include <foretell/foretell.h>

#include <sys/stat.h>

#define TOY_T5   FTL_TEST_DATA "/toy-chronos-t5"
#define TOY_BOLT FTL_TEST_DATA "/toy-chronos-bolt"
#define TOY_TWO  FTL_TEST_DATA "/toy-chronos2"
static const char *const toys[] = {TOY_T5, TOY_BOLT, TOY_TWO};

static ftl_chronos *open_with(const char *directory, ftl_precision precision, size_t n_threads)
{
    const ftl_chronos_open_args args = {NULL, precision, n_threads};
    ftl_chronos *model = NULL;
    ftl_error err = {FTL_OK, ""};
    if (ftl_chronos_open(directory, &args, &model, &err)) fail_msg("%s", err.message);
    return model;
}

static ftl_chronos *open_toy(const char *directory)
{
    return open_with(directory, FTL_F32, 1);
}

/* Values of a wave with trend, every 11th missing. */
static void wave(float *y, size_t n, float phase)
{
    for (size_t i = 0; i < n; i++) y[i] = i % 11 == 7 ? NAN : 20 + 0.1f * (float)i + 5 * sinf(0.7f * (float)i + phase);
}

/* All that results of a call hold, one after another. */
typedef struct log {
    float *v;
    size_t n, capacity, tasks, stop_after; /* 0: never */
    bool blind;
} log_of;

static void put(log_of *l, const float *v, size_t n)
{
    if (l->n + n > l->capacity) l->v = realloc(l->v, (l->capacity = 2 * (l->n + n)) * sizeof *v);
    memcpy(l->v + l->n, v, n * sizeof *v);
    l->n += n;
}

static bool note(void *user, const ftl_chronos_result *r)
{
    log_of *l = user;
    CHECK_INT(r->task, l->tasks++);
    put(l, r->quantiles, r->n_targets * r->n_levels * r->horizon);
    put(l, r->point, r->n_targets * r->horizon);
    if (r->samples) put(l, r->samples, r->n_targets * r->n_samples * r->horizon);
    l->blind = l->blind || r->blind;
    return l->tasks != l->stop_after;
}

static log_of predict(const ftl_chronos *m, const ftl_chronos_task *tasks, size_t n, const ftl_chronos_options *o)
{
    log_of l = {0};
    ftl_error err = {FTL_OK, ""};
    if (ftl_chronos_predict(m, tasks, n, o, note, &l, &err)) fail_msg("%s", err.message);
    CHECK_INT(l.tasks, n);
    return l;
}

static void check_equal(const log_of *a, const log_of *b)
{
    CHECK_INT(a->n, b->n);
    CHECK(!memcmp(a->v, b->v, a->n * sizeof *a->v));
}

static void refused(const ftl_chronos *m, const ftl_chronos_task *task, const ftl_chronos_options *o, ftl_status status,
                    const char *words)
{
    log_of l = {0};
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_chronos_predict(m, task, 1, o, note, &l, &err), status);
    CHECK_CONTAINS(err.message, words);
    CHECK_INT(l.tasks, 0);
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

TEST(a_directory_says_what_it_is)
{
    static const char *const families[] = {"chronos-t5", "chronos-bolt", "chronos-2"};
    for (int i = 0; i < 3; i++) {
        ftl_chronos *m = open_toy(toys[i]);
        const ftl_chronos_facts f = ftl_chronos_about(m);
        char *text = NULL;
        CHECK_TEXT(f.family, families[i]);
        CHECK_TEXT(f.directory, toys[i]);
        CHECK(f.context_length > 0 && f.prediction_length > 0 && f.n_parameters > 1000 && f.d_model > 0);
        CHECK(f.weight_bytes >= 4 * f.n_parameters);
        CHECK((f.n_levels == 0) == f.gives_samples && f.takes_covariates == (i == 2));
        const ftl_chronos_memory one = ftl_chronos_memory_of(m, 1, 0, 0, 0),
                                 four = ftl_chronos_memory_of(m, 4, 0, 0, 0);
        CHECK(one.activation_bytes > 0 && four.activation_bytes >= one.activation_bytes);
        CHECK_INT(ftl_chronos_info(m, &text, NULL), FTL_OK);
        CHECK_CONTAINS(text, families[i]);
        ftl_text_free(text);
        ftl_chronos_close(m);
    }
    ftl_chronos_close(NULL);
}

TEST(what_is_no_model_is_refused_with_a_remedy)
{
    char folder[] = "/tmp/test_chronos.XXXXXX", path[64];
    const struct {
        const char *config, *words;
    } cases[] = {{NULL, "no config.json"},
                 {"", "config.json"},
                 {"{", "config.json"},
                 {"[]", "object"},
                 {"{\"d_model\":8}", "not a Chronos model"},
                 {"{\"chronos_pipeline_class\":\"Other\"}", "'Other'"},
                 {"{\"chronos_pipeline_class\":5}", "chronos_pipeline_class"},
                 {"{\"chronos_pipeline_class\":\"Chronos2Pipeline\"}", "chronos_config"},
                 {"{\"chronos_config\":{}}", "model.safetensors"}};
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/config.json", folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ftl_chronos *m = NULL;
        ftl_error err = {FTL_OK, ""};
        FILE *to = cases[i].config ? fopen(path, "w") : NULL;
        if (to) fputs(cases[i].config, to), fclose(to);
        ftl_status st = ftl_chronos_open(folder, NULL, &m, &err);
        CHECK((st == FTL_EDATA || st == FTL_EIO) && !m);
        CHECK_CONTAINS(err.message, folder);
        CHECK_CONTAINS(err.message, cases[i].words);
    }
    unlink(path);
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    fclose(fopen(path, "w"));
    ftl_chronos *m = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_chronos_open(folder, NULL, &m, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "adapter");
    unlink(path);
    rmdir(folder);
    CHECK_INT(ftl_chronos_open(folder, NULL, &m, &err), FTL_EIO);
    CHECK_INT(ftl_chronos_open("/dev/null", NULL, &m, &err), FTL_EDATA);
    const ftl_chronos_open_args args = {.precision = (ftl_precision)7};
    CHECK_INT(ftl_chronos_open(TOY_T5, &args, &m, &err), FTL_EINVAL);
}

/* ---- the same for any company ----------------------------------------------------------------------------------- */

enum { N_TASKS = 7, LONGEST = 90 };

static void make_tasks(float (*y)[LONGEST], ftl_chronos_task *tasks)
{
    static const size_t lengths[N_TASKS] = {90, 16, 17, 1, 64, 16, 33};
    for (size_t t = 0; t < N_TASKS; t++) {
        wave(y[t], LONGEST, (float)t);
        tasks[t] = (ftl_chronos_task){.n_targets = 1, .length = lengths[t], .targets = y[t], .stream = 100 + t};
    }
}

TEST(neither_batch_nor_order_nor_threads_change_a_result)
{
    float y[N_TASKS][LONGEST];
    ftl_chronos_task tasks[N_TASKS], turned[N_TASKS];
    make_tasks(y, tasks);
    for (size_t t = 0; t < N_TASKS; t++) turned[t] = tasks[N_TASKS - 1 - t];
    for (int i = 0; i < 9; i++) {
        ftl_chronos *m = open_with(toys[i % 3], (ftl_precision)(i / 3), 1),
                    *n = open_with(toys[i % 3], (ftl_precision)(i / 3), 3);
        const ftl_chronos_options all = {.horizon = 40, .num_samples = 5},
                                  one = {.horizon = 40, .num_samples = 5, .batch_size = 1},
                                  three = {.horizon = 40, .num_samples = 5, .batch_size = 3};
        log_of a = predict(m, tasks, N_TASKS, &all), b = predict(m, tasks, N_TASKS, &one),
               c = predict(n, tasks, N_TASKS, &three), d = predict(n, turned, N_TASKS, &all);
        check_equal(&a, &b);
        check_equal(&a, &c);
        size_t each = a.n / N_TASKS;
        for (size_t t = 0; t < N_TASKS; t++)
            CHECK(!memcmp(a.v + t * each, d.v + (N_TASKS - 1 - t) * each, each * sizeof *a.v));
        free(a.v), free(b.v), free(c.v), free(d.v);
        ftl_chronos_close(m);
        ftl_chronos_close(n);
    }
}

TEST(paths_follow_seed_and_stream)
{
    float y[60];
    wave(y, 60, 0);
    ftl_chronos *m = open_toy(TOY_T5);
    ftl_chronos_task task = FTL_CHRONOS_TASK(y, 60);
    ftl_chronos_options o = {.horizon = 30, .num_samples = 8};
    log_of a = predict(m, &task, 1, &o), b = predict(m, &task, 1, &o);
    check_equal(&a, &b);
    o.seed = 1;
    log_of c = predict(m, &task, 1, &o);
    o.seed = 0;
    task.stream = 1;
    log_of d = predict(m, &task, 1, &o);
    CHECK(memcmp(a.v, c.v, a.n * sizeof *a.v) && memcmp(a.v, d.v, a.n * sizeof *a.v) &&
          memcmp(c.v, d.v, a.n * sizeof *a.v));
    free(a.v), free(b.v), free(c.v), free(d.v);
    ftl_chronos_close(m);
}

TEST(targets_of_one_task_are_separate_series_where_the_family_knows_no_groups)
{
    float y[2][50], both[100];
    wave(y[0], 50, 0), wave(y[1], 50, 2);
    memcpy(both, y, sizeof both);
    for (int i = 0; i < 3; i++) {
        ftl_chronos *m = open_toy(toys[i]);
        const ftl_chronos_options o = {.horizon = 5, .num_samples = 2};
        const ftl_chronos_task pair = {.n_targets = 2, .length = 50, .targets = both},
                               single = FTL_CHRONOS_TASK(both, 50);
        log_of a = predict(m, &pair, 1, &o), b = predict(m, &single, 1, &o);
        CHECK_INT(a.n, 2 * b.n);
        size_t n_quantiles = 5 * (i ? ftl_chronos_about(m).n_levels : 9);
        CHECK((memcmp(a.v, b.v, n_quantiles * sizeof(float)) == 0) == (i < 2)); /* chronos-2 sees both */
        free(a.v), free(b.v);
        ftl_chronos_close(m);
    }
}

TEST(cross_learning_makes_one_group_of_a_batch)
{
    float y[N_TASKS][LONGEST];
    ftl_chronos_task tasks[N_TASKS];
    make_tasks(y, tasks);
    ftl_chronos *m = open_toy(TOY_TWO);
    const ftl_chronos_options alone = {.horizon = 8}, cross = {.horizon = 8, .cross_learning = true},
                              single = {.horizon = 8, .cross_learning = true, .batch_size = 1};
    log_of a = predict(m, tasks, N_TASKS, &alone), b = predict(m, tasks, N_TASKS, &cross),
           c = predict(m, tasks, N_TASKS, &single);
    check_equal(&a, &c);
    CHECK(memcmp(a.v, b.v, a.n * sizeof *a.v) != 0);
    free(a.v), free(b.v), free(c.v);
    ftl_chronos_close(m);
}

/* ---- levels ----------------------------------------------------------------------------------------------------- */

TEST(levels_of_the_model_are_picked_and_others_interpolated)
{
    float y[60];
    wave(y, 60, 0);
    for (int i = 1; i < 3; i++) {
        ftl_chronos *m = open_toy(toys[i]);
        const ftl_chronos_facts f = ftl_chronos_about(m);
        const ftl_chronos_task task = FTL_CHRONOS_TASK(y, 60);
        const double some[] = {0.1, 0.9}, middle[] = {0.15}, outside[] = {0.001, 0.999};
        const ftl_chronos_options own = {.horizon = 3}, two = {.horizon = 3, .levels = some, .n_levels = 2},
                                  between = {.horizon = 3, .levels = middle, .n_levels = 1},
                                  far = {.horizon = 3, .levels = outside, .n_levels = 2};
        log_of a = predict(m, &task, 1, &own), b = predict(m, &task, 1, &two), c = predict(m, &task, 1, &between),
               d = predict(m, &task, 1, &far);
        size_t low = 0, high = 0, middle_at = 0;
        for (size_t k = 0; k < f.n_levels; k++) {
            if (fabs(f.levels[k] - 0.1) < 1e-9) low = k;
            if (fabs(f.levels[k] - 0.9) < 1e-9) high = k;
            if (fabs(f.levels[k] - 0.5) < 1e-9) middle_at = k;
        }
        for (size_t h = 0; h < 3; h++) {
            float smallest = a.v[h], largest = a.v[h];
            for (size_t k = 0; k < f.n_levels; k++) {
                smallest = fminf(smallest, a.v[k * 3 + h]);
                largest = fmaxf(largest, a.v[k * 3 + h]);
            }
            CHECK(b.v[h] == a.v[low * 3 + h] && b.v[3 + h] == a.v[high * 3 + h]);
            CHECK(a.v[f.n_levels * 3 + h] == a.v[middle_at * 3 + h]); /* the point */
            CHECK(c.v[h] >= smallest && c.v[h] <= largest);
            if (i == 1) CHECK(d.v[h] >= smallest && d.v[3 + h] <= largest && d.v[h] < d.v[3 + h]); /* bolt sorts */
            if (i == 2) CHECK(d.v[h] == a.v[h] && d.v[3 + h] == a.v[(f.n_levels - 1) * 3 + h]);
        }
        free(a.v), free(b.v), free(c.v), free(d.v);
        ftl_chronos_close(m);
    }
}

TEST(levels_of_paths_are_their_order_statistics)
{
    float y[60];
    wave(y, 60, 0);
    ftl_chronos *m = open_toy(TOY_T5);
    const ftl_chronos_task task = FTL_CHRONOS_TASK(y, 60);
    const double levels[] = {0.25, 0.5};
    const ftl_chronos_options o = {.horizon = 4, .num_samples = 5, .levels = levels, .n_levels = 2};
    log_of a = predict(m, &task, 1, &o);
    for (size_t h = 0; h < 4; h++) {
        float v[5], sum = 0;
        for (size_t s = 0; s < 5; s++) sum += v[s] = a.v[12 + s * 4 + h]; /* behind 2 levels and the point */
        for (size_t s = 1; s < 5; s++)
            for (size_t k = s; k > 0 && v[k - 1] > v[k]; k--) {
                float swap = v[k];
                v[k] = v[k - 1];
                v[k - 1] = swap;
            }
        CHECK(a.v[h] == v[1] && a.v[4 + h] == v[2]); /* ranks 1 and 2 of 0 .. 4 */
        CHECK_NEAR(a.v[8 + h], sum / 5, 1e-4);
    }
    free(a.v);
    ftl_chronos_close(m);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

TEST(mistakes_are_named)
{
    float y[40], bad[40], next[2] = {1, INFINITY};
    wave(y, 40, 0);
    memcpy(bad, y, sizeof y);
    bad[16] = -INFINITY;
    static const char *const kinds[40] = {"a"};
    ftl_chronos *bolt = open_toy(TOY_BOLT), *two = open_toy(TOY_TWO), *t5 = open_toy(TOY_T5);
    const ftl_chronos_options o = {.horizon = 2};
    const ftl_chronos_task good = FTL_CHRONOS_TASK(y, 40), infinite = FTL_CHRONOS_TASK(bad, 40),
                           empty = FTL_CHRONOS_TASK(y, 0), none = {.n_targets = 0, .length = 40, .targets = y};
    refused(bolt, &infinite, &o, FTL_EDATA, "task 1, target 1: value 17 is infinite");
    refused(bolt, &empty, &o, FTL_EDATA, "0 values");
    refused(bolt, &none, &o, FTL_EDATA, "0 targets");
    const ftl_chronos_covariate numbers = {.past = y}, past_bad = {.past = bad},
                                future_bad = {.past = y, .future = next}, mixed = {.past = y, .ahead = kinds},
                                both = {.past = y, .text = kinds}, nothing = {.name = "x"};
    ftl_chronos_task with = {.n_targets = 1, .length = 40, .targets = y, .covariates = &numbers, .n_covariates = 1};
    refused(bolt, &with, &o, FTL_EINVAL, "chronos-bolt take none");
    with.covariates = &past_bad;
    refused(two, &with, &o, FTL_EDATA, "covariate 1: value 17 is infinite");
    with.covariates = &future_bad;
    refused(two, &with, &o, FTL_EDATA, "future of covariate 1: value 2 is infinite");
    with.covariates = &mixed;
    refused(two, &with, &o, FTL_EINVAL, "covariate 1");
    with.covariates = &both;
    refused(two, &with, &o, FTL_EINVAL, "all numbers or all text");
    with.covariates = &nothing;
    refused(two, &with, &o, FTL_EINVAL, "'x'");
    const double twice[] = {0.5, 0.5}, one[] = {1}, odd[] = {0.123};
    refused(bolt, &good, &(ftl_chronos_options){.levels = twice, .n_levels = 2}, FTL_EINVAL, "increase");
    refused(bolt, &good, &(ftl_chronos_options){.levels = one, .n_levels = 1}, FTL_EINVAL, "between 0 and 1");
    refused(bolt, &good, &(ftl_chronos_options){.levels = one}, FTL_EINVAL, "there are none");
    refused(bolt, &good, &(ftl_chronos_options){.context_length = 1 << 30}, FTL_EINVAL, "context");
    refused(bolt, &good, &(ftl_chronos_options){.horizon = 1000, .limit_horizon = true}, FTL_EINVAL, "1000 steps");
    refused(bolt, &good, &(ftl_chronos_options){.cross_learning = true}, FTL_EINVAL, "chronos-bolt");
    refused(two, &good, &(ftl_chronos_options){.horizon = 500, .unrolled = odd, .n_unrolled = 1}, FTL_EINVAL, "0.123");
    refused(t5, &good, &(ftl_chronos_options){.temperature = -1}, FTL_EINVAL, "temperature");
    refused(t5, &good, &(ftl_chronos_options){.temperature = NAN}, FTL_EINVAL, "temperature");
    refused(t5, &good, &(ftl_chronos_options){.top_p = 1.5}, FTL_EINVAL, "top_p");
    refused(t5, &good, &(ftl_chronos_options){.num_samples = 1 << 30}, FTL_EINVAL, "sample paths");
    refused(t5, &good, &(ftl_chronos_options){.horizon = (size_t)-1}, FTL_ENOMEM, "memory");
    ftl_chronos_close(bolt), ftl_chronos_close(two), ftl_chronos_close(t5);
}

TEST(tasks_of_a_call_must_have_the_same_covariates)
{
    float y[40], next[3] = {1, 2, 3};
    wave(y, 40, 0);
    ftl_chronos *m = open_toy(TOY_TWO);
    const ftl_chronos_covariate known = {.name = "price", .past = y, .future = next},
                                unknown = {.name = "price", .past = y},
                                codes = {.name = "price", .past = y, .future = next, .categorical = true};
    ftl_chronos_task tasks[] = {{1, 40, y, &known, 1, 0}, {1, 40, y, &unknown, 1, 0}};
    const ftl_chronos_options o = {.horizon = 3};
    const ftl_chronos_covariate *others[] = {&unknown, &codes, NULL};
    for (int i = 0; i < 3; i++) {
        ftl_error err = {FTL_OK, ""};
        log_of l = {0};
        tasks[1].covariates = others[i];
        tasks[1].n_covariates = others[i] != NULL;
        CHECK_INT(ftl_chronos_predict(m, tasks, 2, &o, note, &l, &err), FTL_EDATA);
        CHECK_CONTAINS(err.message, "task 2");
        CHECK_INT(l.tasks, 0);
    }
    ftl_chronos_close(m);
}

TEST(a_history_without_values_gives_a_blind_forecast)
{
    float nothing[20];
    for (int i = 0; i < 20; i++) nothing[i] = NAN;
    for (int i = 0; i < 3; i++) {
        ftl_chronos *m = open_toy(toys[i]);
        const ftl_chronos_task task = FTL_CHRONOS_TASK(nothing, 20);
        log_of l = predict(m, &task, 1, NULL);
        CHECK(l.blind);
        for (size_t k = 0; k < l.n; k++) CHECK(isfinite(l.v[k]));
        free(l.v);
        ftl_chronos_close(m);
    }
}

/* ---- covariates ------------------------------------------------------------------------------------------------- */

TEST(text_and_codes_of_categories_are_the_same_thing)
{
    enum { N = 40, H = 6 };
    static const char *const names[] = {"rain", "snow", "sun"};
    float y[2 * N], codes[N], next[H];
    const char *text[N], *ahead[H];
    wave(y, N, 0), wave(y + N, N, 1);
    for (size_t i = 0; i < N; i++) {
        text[i] = i % 7 == 3 ? NULL : names[i % 3];
        codes[i] = text[i] ? (float)(i % 3) : NAN;
    }
    for (size_t h = 0; h < H; h++) {
        ahead[h] = h == 2 ? "hail" : h == 4 ? NULL : names[h % 3]; /* unseen, missing */
        next[h] = h == 2 ? 17 : ahead[h] ? (float)(h % 3) : NAN;
    }
    ftl_chronos *m = open_toy(TOY_TWO);
    const ftl_chronos_options o = {.horizon = H};
    for (size_t n_targets = 1; n_targets <= 2; n_targets++) {
        const ftl_chronos_covariate as_text = {.text = text, .ahead = ahead},
                                    as_codes = {.past = codes, .future = next, .categorical = true},
                                    as_numbers = {.past = codes, .future = next};
        const ftl_chronos_task a = {n_targets, N, y, &as_text, 1, 0}, b = {n_targets, N, y, &as_codes, 1, 0},
                               c = {n_targets, N, y, &as_numbers, 1, 0};
        log_of x = predict(m, &a, 1, &o), z = predict(m, &b, 1, &o), w = predict(m, &c, 1, &o);
        check_equal(&x, &z);
        CHECK(memcmp(x.v, w.v, x.n * sizeof *x.v) != 0);
        free(x.v), free(z.v), free(w.v);
    }
    ftl_chronos_close(m);
}

/* ---- stopping, embedding, memory -------------------------------------------------------------------------------- */

typedef struct patience {
    size_t asked, gives_up, last;
} patience;

static bool progress(void *user, size_t done, size_t total)
{
    patience *p = user;
    if (total) {
        CHECK_INT(total, N_TASKS);
        CHECK(done > p->last && done <= total);
        p->last = done;
    }
    return ++p->asked != p->gives_up;
}

TEST(a_call_can_be_stopped_at_any_question)
{
    float y[N_TASKS][LONGEST];
    ftl_chronos_task tasks[N_TASKS];
    make_tasks(y, tasks);
    for (int i = 0; i < 3; i++) {
        ftl_chronos *m = open_toy(toys[i]);
        ftl_chronos_options o = {.horizon = 40, .num_samples = 2, .batch_size = 2, .progress = progress};
        ftl_status st = FTL_ECANCELLED;
        size_t n = 1;
        for (; st == FTL_ECANCELLED && n < 10000; n++) {
            patience p = {.gives_up = n};
            log_of l = {0};
            o.progress_user = &p;
            st = ftl_chronos_predict(m, tasks, N_TASKS, &o, note, &l, NULL);
            CHECK((st == FTL_OK) == (p.asked < n));
            CHECK(st == FTL_OK ? l.tasks == N_TASKS && p.last == N_TASKS : true);
            free(l.v);
        }
        CHECK(st == FTL_OK && n > 5); /* at least after each of four batches */
        log_of l = {.stop_after = 3};
        ftl_error err = {FTL_OK, ""};
        CHECK_INT(ftl_chronos_predict(m, tasks, N_TASKS, NULL, note, &l, &err), FTL_ECANCELLED);
        CHECK_INT(l.tasks, 3);
        CHECK_CONTAINS(err.message, "3 of 7");
        free(l.v);
        ftl_chronos_close(m);
    }
}

static bool note_embedding(void *user, const ftl_chronos_embedding *e)
{
    log_of *l = user;
    CHECK_INT(e->task, l->tasks++);
    put(l, e->loc, e->n_rows);
    put(l, e->scale, e->n_rows);
    put(l, e->states, e->n_rows * e->n_tokens * e->d_model);
    return true;
}

TEST(embeddings_do_not_depend_on_company)
{
    float y[N_TASKS][LONGEST];
    ftl_chronos_task tasks[N_TASKS];
    make_tasks(y, tasks);
    tasks[4] = (ftl_chronos_task){.n_targets = 2, .length = 40, .targets = y[4]};
    for (int i = 0; i < 3; i++) {
        ftl_chronos *m = open_toy(toys[i]);
        const ftl_chronos_options one = {.batch_size = 1};
        log_of a = {0}, b = {0};
        CHECK_INT(ftl_chronos_embed(m, tasks, N_TASKS, NULL, note_embedding, &a, NULL), FTL_OK);
        CHECK_INT(ftl_chronos_embed(m, tasks, N_TASKS, &one, note_embedding, &b, NULL), FTL_OK);
        check_equal(&a, &b);
        for (size_t k = 0; k < a.n; k++) CHECK(isfinite(a.v[k]));
        const ftl_chronos_covariate x = {.past = y[0]};
        const ftl_chronos_task with = {1, 40, y[0], &x, 1, 0};
        ftl_error err = {FTL_OK, ""};
        CHECK_INT(ftl_chronos_embed(m, &with, 1, NULL, note_embedding, &a, &err), FTL_EINVAL);
        CHECK_CONTAINS(err.message, "covariates");
        free(a.v), free(b.v);
        ftl_chronos_close(m);
    }
}

static bool accept(void *user, const ftl_chronos_result *r)
{
    ++*(size_t *)user;
    return r->horizon > 0;
}

TEST(memory_may_run_out_anywhere)
{
    enum { N = 40, H = 20 };
    float y[2 * N], next[H] = {0};
    const char *text[N];
    wave(y, N, 0), wave(y + N, N, 1);
    for (size_t i = 0; i < N; i++) text[i] = i % 2 ? "a" : "b";
    for (int i = 0; i < 3; i++) {
        const ftl_chronos_covariate covariates[] = {{.past = y, .future = next}, {.text = text}};
        const ftl_chronos_task tasks[] = {{2, N, y, covariates, i == 2 ? 2 : 0, 0},
                                          {1, N, y, covariates, i == 2 ? 2 : 0, 1}};
        const ftl_chronos_options o = {.horizon = H, .num_samples = 3};
        ftl_status st = FTL_ENOMEM;
        for (long n = 0; st == FTL_ENOMEM && n < 20000; n++) {
            const ftl_chronos_open_args args = {.n_threads = 1};
            ftl_chronos *m = NULL;
            size_t seen = 0;
            char *info = NULL;
            fi_alloc_fail_after(n);
            st = ftl_chronos_open(toys[i], &args, &m, NULL);
            CHECK((st == FTL_OK) == (m != NULL));
            if (!st) st = ftl_chronos_predict(m, tasks, 2, &o, accept, &seen, NULL);
            if (!st) st = ftl_chronos_info(m, &info, NULL);
            fi_alloc_fail_after(-1);
            CHECK(st != FTL_OK || (seen == 2 && info));
            ftl_text_free(info);
            ftl_chronos_close(m);
        }
        CHECK_INT(st, FTL_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_says_what_it_is),
        cmocka_unit_test(what_is_no_model_is_refused_with_a_remedy),
        cmocka_unit_test(neither_batch_nor_order_nor_threads_change_a_result),
        cmocka_unit_test(paths_follow_seed_and_stream),
        cmocka_unit_test(targets_of_one_task_are_separate_series_where_the_family_knows_no_groups),
        cmocka_unit_test(cross_learning_makes_one_group_of_a_batch),
        cmocka_unit_test(levels_of_the_model_are_picked_and_others_interpolated),
        cmocka_unit_test(levels_of_paths_are_their_order_statistics),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(tasks_of_a_call_must_have_the_same_covariates),
        cmocka_unit_test(a_history_without_values_gives_a_blind_forecast),
        cmocka_unit_test(text_and_codes_of_categories_are_the_same_thing),
        cmocka_unit_test(a_call_can_be_stopped_at_any_question),
        cmocka_unit_test(embeddings_do_not_depend_on_company),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
