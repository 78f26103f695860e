/* The forecaster "chronos": options, batches, tails, covariates, saved models. On toys that have learnt nothing. */
#include "check.h"

#include "base/alloc.h"

#include <foretell/foretell.h>

enum { N = 120, H = 20 };
#define TOY(name) "chronos:" FTL_TEST_DATA "/toy-chronos" name
static const char *const specs[] = {TOY("-t5"), TOY("-bolt"), TOY("2")};

static ftl_config *config_of(const char *spec)
{
    ftl_config *config = NULL;
    ftl_error err = {FTL_OK, ""};
    if (ftl_config_new(spec, &config, &err)) fail_msg("%s", err.message);
    return config;
}

static void wave(double *y, size_t n, double scale, double phase)
{
    for (size_t i = 0; i < n; i++) y[i] = scale * (30 + 0.05 * (double)i + 6 * sin(0.9 * (double)i + phase));
}

static ftl_series *series(const char *id, const double *y, const double *x, size_t n)
{
    static const char *const names[] = {"x"};
    ftl_time ds[2 * N];
    ftl_series *s = NULL;
    for (size_t i = 0; i < n; i++) ds[i] = ftl_time_of((ftl_date){2024, 1, 1 + (int)i});
    CHECK_INT(ftl_series_new_full(id, FTL_TIME_DATE, ds, y, n, names, &x, x ? 1 : 0, &s, NULL), FTL_OK);
    return s;
}

static ftl_model *fit(const char *spec, const ftl_series *s)
{
    ftl_config *config = config_of(spec);
    ftl_model *model = NULL;
    ftl_error err = {FTL_OK, ""};
    if (ftl_model_fit(config, s, NULL, &model, &err)) fail_msg("%s", err.message);
    ftl_config_free(config);
    return model;
}

static ftl_forecast *predict(const ftl_model *model, ftl_predict_args args)
{
    ftl_forecast *fc = NULL;
    ftl_error err = {FTL_OK, ""};
    if (!args.horizon && !args.future) args.horizon = H;
    if (ftl_model_predict(model, &args, &fc, &err)) fail_msg("%s", err.message);
    return fc;
}

static ftl_forecast *forecast(const char *spec, const ftl_series *s, ftl_predict_args args)
{
    ftl_model *model = fit(spec, s);
    ftl_forecast *fc = predict(model, args);
    ftl_model_free(model);
    return fc;
}

static void check_same(const ftl_forecast *a, const ftl_forecast *b)
{
    size_t rows = ftl_forecast_n_rows(a), levels = ftl_forecast_n_levels(a);
    CHECK_INT(ftl_forecast_n_rows(b), rows);
    CHECK(!memcmp(ftl_forecast_point(a), ftl_forecast_point(b), rows * sizeof(double)));
    CHECK(!memcmp(ftl_forecast_quantiles(a), ftl_forecast_quantiles(b), rows * levels * sizeof(double)));
}

TEST(the_first_value_may_stand_alone)
{
    static const struct {
        const char *spec, *model, *samples;
    } cases[] = {
        {"chronos:some/where", "some/where", "0"},         {"chronos:some/where,num_samples=7", "some/where", "7"},
        {"chronos:num_samples=7,model=name", "name", "7"}, {"chronos:/a=b/c,num_samples=7", "/a=b/c", "7"},
        {"chronos:with\\,comma", "with,comma", "0"},       {"chronos", "", "0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ftl_config *config = config_of(cases[i].spec), *again;
        char *model = NULL, *samples = NULL, *text = NULL, *text_again = NULL;
        CHECK_INT(ftl_config_get(config, "model", &model, NULL), FTL_OK);
        CHECK_INT(ftl_config_get(config, "num-samples", &samples, NULL), FTL_OK);
        CHECK_TEXT(model, cases[i].model);
        CHECK_TEXT(samples, cases[i].samples);
        CHECK_INT(ftl_config_text(config, &text, NULL), FTL_OK);
        again = config_of(text);
        CHECK_INT(ftl_config_text(again, &text_again, NULL), FTL_OK);
        CHECK_TEXT(text_again, text);
        ftl_text_free(model), ftl_text_free(samples), ftl_text_free(text), ftl_text_free(text_again);
        ftl_config_free(config), ftl_config_free(again);
    }
    ftl_config *config = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_config_new("chronos:modle=x", &config, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "did you mean 'model'");
    CHECK_INT(ftl_config_new("chronos:a,b", &config, &err), FTL_EINVAL);
    CHECK_INT(ftl_config_new("prophet:flat", &config, &err), FTL_EINVAL); /* takes no bare value */
    config = config_of("prophet");
    char *text = NULL;
    CHECK_INT(ftl_config_get(config, "add_holiday", &text, &err), FTL_EINVAL);
    CHECK_INT(ftl_config_get(config, "nonsense", &text, &err), FTL_EINVAL);
    CHECK(text == NULL);
    ftl_config_free(config);
}

TEST(abilities_are_those_of_the_family)
{
    static const unsigned can[] = {FTL_TAKES_MISSING | FTL_GIVES_SAMPLES, FTL_TAKES_MISSING,
                                   FTL_TAKES_MISSING | FTL_TAKES_REGRESSORS | FTL_TAKES_UNKNOWN_FUTURE |
                                       FTL_TAKES_CATEGORIES | FTL_TAKES_GROUPS};
    for (int i = 0; i < 3; i++) {
        ftl_config *config = config_of(specs[i]);
        unsigned bits = 0;
        CHECK_INT(ftl_config_capabilities(config, &bits, NULL), FTL_OK);
        CHECK_INT(bits, can[i]);
        ftl_config_free(config);
    }
    ftl_config *config = config_of("chronos");
    unsigned bits = 0;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_config_capabilities(config, &bits, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "which model");
    CHECK_INT(ftl_config_set(config, "model", "/nowhere/at/all", NULL), FTL_OK);
    CHECK_INT(ftl_config_capabilities(config, &bits, &err), FTL_EIO);
    CHECK_INT(ftl_config_set(config, "model", FTL_TEST_DATA "/toy-chronos-bolt", NULL), FTL_OK); /* another one now */
    CHECK_INT(ftl_config_capabilities(config, &bits, &err), FTL_OK);
    CHECK_INT(bits, FTL_TAKES_MISSING);
    ftl_config_free(config);
}

TEST(tails_go_on_like_a_normal_distribution_or_stop)
{
    static const double levels[] = {0.001, 0.1, 0.2, 0.5, 0.8, 0.9, 0.975};
    double y[N];
    wave(y, N, 1, 0);
    ftl_series *s = series("a", y, NULL, N);
    const ftl_predict_args args = {.levels = levels, .n_levels = 7};
    ftl_forecast *normal = forecast(TOY("-bolt"), s, args), *clamp = forecast(TOY("-bolt") ",tails=clamp", s, args);
    for (size_t h = 0; h < H; h++) {
        const double *a = ftl_forecast_quantiles(normal) + 7 * h, *b = ftl_forecast_quantiles(clamp) + 7 * h;
        for (size_t k = 1; k < 6; k++) CHECK(a[k] == b[k]);
        CHECK(b[0] == b[1] && b[6] == b[5]);
        /* z of 0.8, 0.9 and 0.975: 0.8416, 1.2816, 1.9600; of 0.001: -3.0902 */
        CHECK_CLOSE(a[6], a[5] + (a[5] - a[4]) * (1.959963985 - 1.281551566) / (1.281551566 - 0.841621234), 1e-7);
        CHECK_CLOSE(a[0], a[1] - (a[2] - a[1]) * (3.090232306 - 1.281551566) / (1.281551566 - 0.841621234), 1e-7);
        CHECK(ftl_forecast_point(normal)[h] == a[3]); /* the point is the median */
    }
    CHECK_TEXT(ftl_forecast_point_kind(normal), "median");
    ftl_forecast_free(normal), ftl_forecast_free(clamp);
    ftl_series_free(s);
}

TEST(only_the_context_counts)
{
    double y[N], other[N];
    wave(y, N, 1, 0);
    memcpy(other, y, sizeof y);
    for (size_t i = 0; i < N - 30; i++) other[i] = -1000;
    ftl_series *a = series("a", y, NULL, N), *b = series("a", other, NULL, N);
    for (int i = 0; i < 3; i++) {
        char spec[4200];
        snprintf(spec, sizeof spec, "%s,context_length=30", specs[i]);
        ftl_forecast *x = forecast(spec, a, (ftl_predict_args){0}), *z = forecast(spec, b, (ftl_predict_args){0});
        check_same(x, z);
        ftl_forecast_free(x), ftl_forecast_free(z);
    }
    for (size_t i = N - 30; i < N; i++) other[i] = NAN;
    ftl_series *blind = series("blind", other, NULL, N);
    ftl_config *config = config_of(TOY("-bolt") ",context_length=30");
    ftl_model *model = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_model_fit(config, blind, NULL, &model, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "none of its last 30 rows");
    ftl_config_free(config);
    ftl_series_free(a), ftl_series_free(b), ftl_series_free(blind);
}

TEST(powers_of_two_beyond_floats_scale_the_forecast_exactly)
{
    double y[N], huge[N];
    wave(y, N, 1, 0);
    for (size_t i = 0; i < N; i++) huge[i] = ldexp(y[i], 900);
    ftl_series *a = series("a", y, NULL, N), *b = series("a", huge, NULL, N);
    for (int i = 0; i < 3; i++) {
        ftl_forecast *x = forecast(specs[i], a, (ftl_predict_args){0}),
                     *z = forecast(specs[i], b, (ftl_predict_args){0});
        for (size_t h = 0; h < H; h++)
            CHECK_CLOSE(ldexp(ftl_forecast_point(z)[h], -900), ftl_forecast_point(x)[h], 1e-4); /* float32 inside */
        ftl_forecast_free(x), ftl_forecast_free(z);
    }
    ftl_series_free(a), ftl_series_free(b);
}

/* ---- panels ----------------------------------------------------------------------------------------------------- */

enum { N_SERIES = 9 };

/* Nine series, of which the fourth has nothing to look at; x is a column of all. */
static ftl_panel *panel(bool future)
{
    char *text = NULL, date[FTL_TIME_TEXT_MAX];
    size_t size;
    ftl_panel *p = NULL;
    FILE *to = open_memstream(&text, &size);
    fprintf(to, "unique_id,ds,y,x\n");
    for (int s = 0; s < N_SERIES; s++)
        for (int t = future ? N : s % 3 * 40; t < N + (future ? 6 : 0); t++) {
            ftl_time_format(ftl_time_of((ftl_date){2024, 1, 1 + t}), FTL_TIME_DATE, date);
            fprintf(to, "s%d,%s,", s, date);
            if (!future && (s != 3 || t < 10)) fprintf(to, "%.4f", 20 + 4 * sin(0.8 * t + s));
            fprintf(to, ",%d\n", t % 5);
        }
    fclose(to);
    CHECK_INT(ftl_panel_parse_csv(text, size, "panel", NULL, &p, NULL), FTL_OK);
    free(text);
    return p;
}

typedef struct collected {
    ftl_panel *future;
    const char *spec;
    size_t seen, failed;
} collected;

/* Every forecast is that of the series by itself; the one that cannot be is an error of its own. */
static bool compare(void *user, const ftl_panel_result *r)
{
    collected *c = user;
    CHECK_INT(r->index, c->seen++);
    if (r->error->code) {
        CHECK_INT(r->index, 3);
        CHECK_CONTAINS(r->error->message, "'s3'");
        c->failed++;
        return true;
    }
    ftl_predict_args args = {.horizon = 6};
    if (c->future) args.future = ftl_panel_find(c->future, ftl_series_id(r->series));
    ftl_forecast *alone = forecast(c->spec, r->series, args);
    check_same(alone, r->forecast);
    CHECK_TEXT(ftl_forecast_id(r->forecast), ftl_series_id(r->series));
    ftl_forecast_free(alone);
    return true;
}

TEST(batches_of_a_panel_give_what_each_series_gives_alone)
{
    ftl_panel *p = panel(false), *ahead = panel(true);
    for (int i = 0; i < 3; i++)
        for (int batch = 1; batch <= 8; batch += 7)
            for (int with_future = 0; with_future < 2; with_future++) {
                char spec[4200];
                snprintf(spec, sizeof spec, "%s,batch_size=%d,context_length=60", specs[i], batch);
                ftl_config *config = config_of(spec);
                collected c = {.future = with_future ? ahead : NULL, .spec = spec};
                const ftl_predict_args args = {.horizon = 6};
                ftl_error err = {FTL_OK, ""};
                CHECK_INT(ftl_forecast_panel(config, p, c.future, NULL, &args, 2, compare, &c, &err), FTL_OK);
                CHECK_INT(c.seen, N_SERIES);
                CHECK_INT(c.failed, 1);
                ftl_config_free(config);
            }
    ftl_panel_free(p), ftl_panel_free(ahead);
}

static bool count_series(void *user, const ftl_panel_result *r)
{
    (void)r;
    ++*(size_t *)user;
    return true;
}

static bool never(void *user, size_t done, size_t total)
{
    (void)done, (void)total;
    ++*(size_t *)user;
    return false;
}

TEST(a_panel_can_be_stopped_within_a_batch)
{
    ftl_panel *p = panel(false);
    for (int i = 0; i < 3; i++) {
        ftl_config *config = config_of(specs[i]);
        size_t seen = 0, asked = 0;
        const ftl_predict_args args = {.horizon = 100};
        const ftl_fit_args fit_args = {.progress = never, .progress_user = &asked};
        ftl_error err = {FTL_OK, ""};
        CHECK_INT(ftl_forecast_panel(config, p, NULL, &fit_args, &args, 1, count_series, &seen, &err), FTL_ECANCELLED);
        CHECK_CONTAINS(err.message, "0 of 9 series");
        CHECK_INT(seen, 0);
        CHECK_INT(asked, 1);
        ftl_config_free(config);
    }
    ftl_panel_free(p);
}

/* ---- covariates ------------------------------------------------------------------------------------------------- */

TEST(columns_count_as_far_as_they_are_known)
{
    double y[N], x[N], ahead[H], unknown[H], far[H];
    ftl_time ds[H];
    static const char *const names[] = {"x", "other"};
    wave(y, N, 1, 0);
    for (size_t i = 0; i < N; i++) x[i] = (double)(i % 4);
    for (size_t h = 0; h < H; h++) {
        ds[h] = ftl_time_of((ftl_date){2024, 1, N + 1 + (int)h});
        ahead[h] = (double)((N + h) % 4);
        unknown[h] = NAN;
        far[h] = 3;
    }
    ftl_series *s = series("a", y, x, N), *plain = series("a", y, NULL, N), *frames[4] = {0};
    const double *columns[3][2] = {{ahead, far}, {unknown, far}, {far, far}};
    for (int k = 0; k < 3; k++)
        CHECK_INT(ftl_series_new_full("", FTL_TIME_DATE, ds, NULL, H, names, columns[k], 2, &frames[k], NULL), FTL_OK);
    ftl_model *model = fit(specs[2], s), *codes = fit(TOY("2") ",categorical=;x", s);
    ftl_forecast *blind = predict(model, (ftl_predict_args){0}),
                 *known = predict(model, (ftl_predict_args){.future = frames[0]}),
                 *not_known = predict(model, (ftl_predict_args){.future = frames[1]}),
                 *others = predict(model, (ftl_predict_args){.future = frames[2]}),
                 *coded = predict(codes, (ftl_predict_args){.future = frames[0]}),
                 *bare = forecast(specs[2], plain, (ftl_predict_args){0}),
                 *left_out = forecast(TOY("2") ",regressors=false", s, (ftl_predict_args){0});
    const size_t bytes = H * sizeof(double);
    check_same(blind, not_known);
    check_same(bare, left_out);
    const ftl_forecast *different[] = {blind, known, others, coded, bare};
    for (int a = 0; a < 5; a++)
        for (int b = 0; b < a; b++)
            CHECK(memcmp(ftl_forecast_point(different[a]), ftl_forecast_point(different[b]), bytes) != 0);
    ftl_forecast_free(blind), ftl_forecast_free(known), ftl_forecast_free(not_known), ftl_forecast_free(others);
    ftl_forecast_free(coded), ftl_forecast_free(bare), ftl_forecast_free(left_out);
    ftl_model_free(model), ftl_model_free(codes);
    for (int k = 0; k < 3; k++) ftl_series_free(frames[k]);
    ftl_series_free(s), ftl_series_free(plain);
}

/* ---- categories and several targets ----------------------------------------------------------------------------- */

enum { AHEAD = 6 };
static const char *const kinds[] = {"none", "sale", NULL, "late, night"};

/* Two series with two targets, a column of numbers and one of text, out of order; ahead, 'new' is a word not seen. */
static ftl_panel *mixed_panel(bool future, const char *words)
{
    char *text = NULL;
    size_t size;
    ftl_panel *p = NULL;
    FILE *to = open_memstream(&text, &size);
    fprintf(to, "unique_id,ds,kind,y,x,z\n");
    for (int t = future ? N + AHEAD - 1 : N - 1; t >= (future ? N : 0); t--)
        for (int s = 0; s < 2; s++) {
            const char *kind = future && t == N + 2 ? "new" : kinds[(t + s) % 4];
            if (!future && t == 40 && s) continue; /* a gap, which becomes missing */
            fprintf(to, "s%d,%d,\"%s\",", s, t + 1, words ? words : kind ? kind : "");
            if (!future) fprintf(to, "%.3f", 20 + 4 * sin(0.8 * t + s));
            fprintf(to, ",%d,", t % 5);
            if (!future && t % 9) fprintf(to, "%.3f", 7 + 2 * cos(0.5 * t + s));
            fprintf(to, "\n");
        }
    fclose(to);
    const ftl_csv_options options = {
        .no_target = future, .keep_text = true, .more_targets = (const char *const[]){"z"}, .n_more_targets = 1};
    CHECK_INT(ftl_panel_parse_csv(text, size, "panel", &options, &p, NULL), FTL_OK);
    free(text);
    return p;
}

/* What the C interface gives for the same tables, as floats: [series][target][AHEAD] medians. */
typedef struct by_task {
    float point[2][2][AHEAD];
} by_task;

static bool keep_result(void *user, const ftl_chronos_result *r)
{
    by_task *b = user;
    CHECK_INT(r->horizon, AHEAD);
    for (size_t t = 0; t < r->n_targets; t++)
        for (size_t h = 0; h < AHEAD; h++) {
            float q[64]; /* the forecaster sorts quantiles before it takes the median */
            for (size_t k = 0; k < r->n_levels; k++) {
                float v = r->quantiles[(t * r->n_levels + k) * AHEAD + h];
                size_t i = k;
                for (; i > 0 && q[i - 1] > v; i--) q[i] = q[i - 1];
                q[i] = v;
            }
            b->point[r->task][t][h] = q[r->n_levels / 2];
        }
    return true;
}

static void by_c_interface(size_t n_targets, by_task *out)
{
    static float y[2][2 * N], x[2][N], ahead_x[AHEAD];
    static const char *text[2][N], *ahead[2][AHEAD];
    ftl_chronos_covariate covariates[2][3] = {0};
    ftl_chronos_task tasks[2];
    for (int s = 0; s < 2; s++) {
        for (int t = 0; t < N; t++) {
            bool gap = t == 40 && s;
            char number[2][32];
            snprintf(number[0], 32, "%.3f", 20 + 4 * sin(0.8 * t + s));
            snprintf(number[1], 32, "%.3f", 7 + 2 * cos(0.5 * t + s));
            y[s][t] = gap ? NAN : (float)atof(number[0]);
            y[s][N + t] = gap || t % 9 == 0 ? NAN : (float)atof(number[1]);
            x[s][t] = gap ? NAN : (float)(t % 5);
            text[s][t] = gap ? NULL : kinds[(t + s) % 4];
        }
        for (int h = 0; h < AHEAD; h++) {
            ahead_x[h] = (float)((N + h) % 5);
            ahead[s][h] = h == 2 ? "new" : kinds[(N + h + s) % 4];
        }
        covariates[s][0] = (ftl_chronos_covariate){.name = "x", .past = x[s], .future = ahead_x};
        covariates[s][1] = (ftl_chronos_covariate){.name = "kind", .text = text[s], .ahead = ahead[s]};
        tasks[s] = (ftl_chronos_task){n_targets, N, y[s], covariates[s], 2, 0};
    }
    ftl_chronos *model = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_chronos_open(FTL_TEST_DATA "/toy-chronos2", NULL, &model, &err), FTL_OK);
    CHECK(ftl_chronos_about(model).n_levels % 2 == 1 && ftl_chronos_about(model).n_levels < 64);
    const ftl_chronos_options options = {.horizon = AHEAD};
    if (ftl_chronos_predict(model, tasks, 2, &options, keep_result, out, &err)) fail_msg("%s", err.message);
    ftl_chronos_close(model);
}

static bool same_as_by_task(void *user, const ftl_panel_result *r)
{
    const by_task *want = user;
    if (r->error->code) fail_msg("%s", r->error->message);
    for (size_t t = 0; t < ftl_forecast_n_targets(r->forecast); t++)
        for (size_t h = 0; h < AHEAD; h++)
            CHECK(ftl_forecast_point(ftl_forecast_target(r->forecast, t))[h] == (double)want->point[r->index][t][h]);
    return true;
}

TEST(text_and_several_targets_give_what_the_c_interface_gives)
{
    ftl_panel *p = mixed_panel(false, NULL), *future = mixed_panel(true, NULL);
    ftl_config *config = config_of(specs[2]);
    by_task want;
    const ftl_predict_args args = FTL_PREDICT_DEFAULTS;
    ftl_error err = {FTL_OK, ""};
    by_c_interface(2, &want);
    if (ftl_forecast_panel(config, p, future, NULL, &args, 2, same_as_by_task, &want, &err))
        fail_msg("%s", err.message);
    ftl_config_free(config);
    ftl_panel_free(p), ftl_panel_free(future);
}

TEST(targets_are_named_saved_and_refused_by_other_models)
{
    ftl_panel *p = mixed_panel(false, NULL), *future = mixed_panel(true, NULL), *numbers = mixed_panel(true, "7"),
              *none = mixed_panel(true, "");
    const ftl_series *s = ftl_panel_series(p, 1);
    ftl_model *model = fit(specs[2], s), *again = NULL;
    char *text = NULL;
    ftl_error err = {FTL_OK, ""};
    const ftl_predict_args args = {.future = ftl_panel_series(future, 1)};
    ftl_forecast *a = predict(model, args), *b, *refused = NULL;
    CHECK_INT(ftl_forecast_n_targets(a), 2);
    CHECK_TEXT(ftl_forecast_target_name(a), "y");
    CHECK_TEXT(ftl_forecast_target_name(ftl_forecast_target(a, 1)), "z");
    CHECK(ftl_forecast_target(a, 2) == NULL);
    CHECK_INT(ftl_model_save_text(model, &text, NULL), FTL_OK);
    if (ftl_model_load_text(text, strlen(text), "saved", &again, &err)) fail_msg("%s", err.message);
    b = predict(again, args);
    for (size_t t = 0; t < 2; t++) check_same(ftl_forecast_target(a, t), ftl_forecast_target(b, t));
    ftl_forecast_free(b);
    b = predict(model, (ftl_predict_args){.future = ftl_panel_series(none, 1)}); /* a column without any value */
    CHECK(memcmp(ftl_forecast_point(a), ftl_forecast_point(b), AHEAD * sizeof(double)) != 0);
    CHECK_INT(ftl_model_predict(model, &(ftl_predict_args){.future = ftl_panel_series(numbers, 1)}, &refused, &err),
              FTL_EDATA);
    CHECK_CONTAINS(err.message, "column 'kind' holds text in the data, but numbers");
    static const char *const others[] = {TOY("-bolt"), TOY("-t5"), "seasonal-naive"};
    for (size_t i = 0; i < 3; i++) {
        ftl_config *config = config_of(others[i]);
        ftl_model *none_fitted = NULL;
        CHECK_INT(ftl_model_fit(config, s, NULL, &none_fitted, &err), FTL_EINVAL);
        CHECK_CONTAINS(err.message, "one");
        ftl_config_free(config);
    }
    static const char *const damage[][2] = {{"\"n_targets\":2", "\"n_targets\":9"},
                                            {"\"n_targets\":2", "\"n_targets\":4"},
                                            {"\"words\":[", "\"words\":[\"none\","},
                                            {"\"words\":[", "\"words\":[3,"},
                                            {"\"words\":[\"late, night\",\"none\",\"sale\"]", "\"words\":[]"}};
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        char *at = strstr(text, damage[i][0]), *bad = malloc(strlen(text) + 200);
        ftl_model *loaded = NULL;
        CHECK(at != NULL);
        sprintf(bad, "%.*s%s%s", (int)(at - text), text, damage[i][1], at + strlen(damage[i][0]));
        if (!ftl_model_load_text(bad, strlen(bad), "saved", &loaded, &err)) fail_msg("taken: %s", damage[i][1]);
        CHECK(loaded == NULL);
        free(bad);
    }
    ftl_text_free(text);
    ftl_forecast_free(a), ftl_forecast_free(b);
    ftl_model_free(model), ftl_model_free(again);
    ftl_panel_free(p), ftl_panel_free(future), ftl_panel_free(numbers), ftl_panel_free(none);
}

TEST(memory_may_run_out_anywhere_between_words_and_forecasts)
{
    ftl_panel *p = mixed_panel(false, NULL);
    ftl_config *config = config_of(specs[2]);
    ftl_model *opened = NULL; /* weights are open already: their reader has tests of its own */
    ftl_status st = FTL_ENOMEM;
    long n = 0;
    CHECK_INT(ftl_model_fit(config, ftl_panel_series(p, 0), NULL, &opened, NULL), FTL_OK);
    for (; st == FTL_ENOMEM && n < 2000; n++) {
        ftl_model *model = NULL, *again = NULL;
        ftl_forecast *fc = NULL;
        char *text = NULL;
        fi_alloc_fail_after(n);
        st = ftl_model_fit(config, ftl_panel_series(p, 1), NULL, &model, NULL); /* with a gap: on a grid */
        if (!st) st = ftl_model_predict(model, &(ftl_predict_args){.horizon = 3}, &fc, NULL);
        if (!st) st = ftl_model_save_text(model, &text, NULL);
        if (!st) st = ftl_model_load_like(model, text, strlen(text), "saved", &again, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (again != NULL));
        ftl_forecast_free(fc);
        ftl_text_free(text);
        ftl_model_free(model), ftl_model_free(again);
    }
    CHECK_INT(st, FTL_OK);
    CHECK(n > 80);
    ftl_model_free(opened);
    ftl_config_free(config);
    ftl_panel_free(p);
}

/* ---- saved ------------------------------------------------------------------------------------------------------ */

TEST(saved_models_of_one_file_share_their_weights)
{
    double y[N], x[N];
    wave(y, N, 1, 0), wave(x, N, 2, 1);
    ftl_series *s = series("a", y, x, N);
    ftl_model *model = fit(TOY("2") ",categorical=x,tails=clamp,batch_size=3", s), *first = NULL, *second = NULL,
              *other = NULL;
    ftl_model *naive = fit("seasonal-naive", s);
    char *text = NULL, *again = NULL, *plain = NULL;
    CHECK_INT(ftl_model_save_text(model, &text, NULL), FTL_OK);
    CHECK_INT(ftl_model_save_text(naive, &plain, NULL), FTL_OK);
    CHECK_INT(ftl_model_load_like(naive, text, strlen(text), "saved", &first, NULL), FTL_OK);
    CHECK_INT(ftl_model_load_like(first, text, strlen(text), "saved", &second, NULL), FTL_OK);
    CHECK_INT(ftl_model_load_like(first, plain, strlen(plain), "saved", &other, NULL), FTL_OK);
    ftl_model_free(first); /* what they share outlives the first */
    CHECK_INT(ftl_model_save_text(second, &again, NULL), FTL_OK);
    CHECK_TEXT(again, text);
    ftl_forecast *a = predict(model, (ftl_predict_args){0}), *b = predict(second, (ftl_predict_args){0});
    check_same(a, b);
    ftl_forecast_free(a), ftl_forecast_free(b);
    ftl_text_free(text), ftl_text_free(again), ftl_text_free(plain);
    ftl_model_free(model), ftl_model_free(second), ftl_model_free(other), ftl_model_free(naive);
    ftl_series_free(s);
}

TEST(a_saved_model_without_its_weights_or_with_nonsense_is_refused)
{
    static const struct {
        const char *from, *to, *words;
    } cases[] = {{"/toy-chronos-bolt", "/toy-lost", "toy-lost"},
                 {"\"f32\"", "\"f64\"", "precision"},
                 {"\"num_samples\":0", "\"num_samples\":-1", "num_samples"},
                 {"\"top_p\":0.0", "\"top_p\":2.0", "top_p"},
                 {"\"kind\":1", "\"kind\":9", "kind"},
                 {"\"context_length\":0", "\"context_length\":99999", "context_length"},
                 {"\"lines\":[", "\"lines\":[{\"name\":\"y\",\"categorical\":false,\"values\":[1,2]},", "same number"},
                 {"\"values\":[", "\"values\":[1e999,", ""},
                 {"\"lines\":[", "\"lines\":[5,", "name"}};
    double y[N];
    wave(y, N, 1, 0);
    ftl_series *s = series("a", y, NULL, N);
    ftl_model *model = fit(specs[1], s), *loaded = NULL;
    char *text = NULL;
    CHECK_INT(ftl_model_save_text(model, &text, NULL), FTL_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *at = strstr(text, cases[i].from), *bad = malloc(strlen(text) + 200);
        ftl_error err = {FTL_OK, ""};
        CHECK(at != NULL);
        sprintf(bad, "%.*s%s%s", (int)(at - text), text, cases[i].to, at + strlen(cases[i].from));
        ftl_status st = ftl_model_load_text(bad, strlen(bad), "saved", &loaded, &err);
        if (st == FTL_OK) fail_msg("taken: %s", cases[i].to);
        CHECK(loaded == NULL);
        CHECK_CONTAINS(err.message, "saved");
        CHECK_CONTAINS(err.message, cases[i].words);
        free(bad);
    }
    ftl_text_free(text);
    ftl_model_free(model);
    ftl_series_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_value_may_stand_alone),
        cmocka_unit_test(abilities_are_those_of_the_family),
        cmocka_unit_test(tails_go_on_like_a_normal_distribution_or_stop),
        cmocka_unit_test(only_the_context_counts),
        cmocka_unit_test(powers_of_two_beyond_floats_scale_the_forecast_exactly),
        cmocka_unit_test(batches_of_a_panel_give_what_each_series_gives_alone),
        cmocka_unit_test(a_panel_can_be_stopped_within_a_batch),
        cmocka_unit_test(columns_count_as_far_as_they_are_known),
        cmocka_unit_test(text_and_several_targets_give_what_the_c_interface_gives),
        cmocka_unit_test(targets_are_named_saved_and_refused_by_other_models),
        cmocka_unit_test(memory_may_run_out_anywhere_between_words_and_forecasts),
        cmocka_unit_test(saved_models_of_one_file_share_their_weights),
        cmocka_unit_test(a_saved_model_without_its_weights_or_with_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
