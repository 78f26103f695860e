#include "folder.h"

#include "base/alloc.h"

#include <foretell/foretell.h>

static const char *write_file(const char *name, const char *text)
{
    const char *path = inside(name);
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && !fclose(file));
    return path;
}

static void expect_manifest_error(const char *text, const char *part)
{
    ftl_manifest *m;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_manifest_read(write_file("bad.csv", text), &m, &err), FTL_EDATA);
    CHECK(!m);
    CHECK_CONTAINS(err.message, part);
}

TEST(manifests_are_read_and_checked)
{
    ftl_manifest *m;
    const char *path = write_file("m.csv", "file,name,horizon,freq,season_length,test_offset,note\n"
                                           "a.csv,\"A \"\"x\"\"\",3,M,12,5,\"x, y\"\n/b.csv,b,1,,,,\n");
    CHECK_INT(ftl_manifest_read(path, &m, NULL), FTL_OK);
    CHECK_INT(ftl_manifest_n_datasets(m), 2);
    const ftl_dataset *a = ftl_manifest_dataset(m, 0), *b = ftl_manifest_find(m, "b");
    CHECK_TEXT(a->name, "A \"x\"");
    CHECK_TEXT(a->path, inside("a.csv"));
    CHECK(a->has_freq && a->freq.unit == FTL_FREQ_MONTH_START);
    CHECK_INT(a->season, 12);
    CHECK_INT(a->offset, 5);
    CHECK_TEXT(b->path, "/b.csv");
    CHECK(!b->has_freq);
    CHECK_INT(b->offset, 1);
    CHECK_INT(b->season, 0);
    CHECK_NEAR(b->snaive_mase, NAN, 0);
    CHECK(!ftl_manifest_find(m, "c") && !ftl_manifest_dataset(m, 2));
    ftl_manifest_free(m);
    expect_manifest_error("name,horizon\na,1\n", "there is no column 'file'");
    expect_manifest_error("name,file,horizon\na,f,0\n", "bad.csv:2: column 'horizon': must be at least 1");
    expect_manifest_error("name,file,horizon\na,f,x\n", "'x' is not a whole number");
    expect_manifest_error("name,file,horizon\na,f,1\na,g,1\n", "bad.csv:3: column 'name': 'a' was there before");
    expect_manifest_error("name,file,horizon,test_offset\na,f,4,3\n", "3 is less than the horizon of 4");
    expect_manifest_error("name,file,horizon,freq\na,f,4,XYZ\n", "column 'freq'");
    expect_manifest_error("name,file,horizon\na,f\n", "2 fields, but the header has 3 columns");
    expect_manifest_error("name,file,horizon\n", "names no data set");
    expect_manifest_error("", "is empty");
}

static const char panel_text[] =
    "unique_id,ds,y\na,1,1\na,2,2\na,3,3\na,4,5\na,5,7\na,6,9\nshort,1,1\nb,1,4\nb,2,\nb,3,4\n"
    "b,4,6\nb,5,5\n";
static const ftl_dataset small_set = {.name = "small", .horizon = 2, .offset = 2, .season = 1};

static ftl_panel *small_panel(void)
{
    ftl_panel *panel;
    CHECK_INT(ftl_panel_parse_csv(panel_text, sizeof panel_text - 1, "text", NULL, &panel, NULL), FTL_OK);
    return panel;
}

static bool count_series(void *user, const char *id, size_t window, const ftl_scores *scores)
{
    size_t *n = user;
    CHECK(*n < 4 && scores->n_series == 1);
    CHECK_TEXT(id, *n % 2 ? "b" : "a");
    CHECK_INT(window, *n / 2);
    ++*n;
    return true;
}

TEST(the_baseline_is_that_of_the_benchmark)
{
    ftl_panel *panel = small_panel();
    ftl_scores s;
    size_t n = 0;
    CHECK_INT(ftl_evaluate(NULL, panel, &small_set, NULL, count_series, &n, &s, NULL), FTL_OK);
    /* a: 5 5 against 7 9, scale 4/3; b: 4 4 against 6 5, no pair of neighbours: no scale. 'short' has no history. */
    CHECK_INT(n, 2);
    CHECK_INT(s.n_series, 2);
    CHECK_INT(s.n_points, 4);
    CHECK_NEAR(s.mase, (2 / (4.0 / 3) + 4 / (4.0 / 3)) / 2, 1e-15);
    CHECK_NEAR(s.wql, 9.0 / 27, 1e-15);
    ftl_panel_free(panel);
}

TEST(windows_roll_and_threads_change_nothing)
{
    ftl_panel *panel = small_panel();
    ftl_config *config;
    ftl_dataset set = small_set;
    ftl_scores s[2];
    set.horizon = set.offset = 1;
    CHECK_INT(ftl_config_new("seasonal-naive", &config, NULL), FTL_OK);
    for (size_t t = 0; t < 2; t++) {
        size_t n = 0;
        const ftl_evaluate_args args = {.n_threads = 1 + 2 * t, .windows = 2, .n_samples = 50};
        CHECK_INT(ftl_evaluate(config, panel, &set, &args, count_series, &n, &s[t], NULL), FTL_OK);
        CHECK_INT(n, 4);
        CHECK_INT(s[t].n_fallbacks, 1); /* b without its last two rows has no two neighbours */
        s[t].seconds = s[t].peak_mb = 0;
    }
    CHECK(!memcmp(&s[0], &s[1], sizeof s[0]));
    ftl_config_free(config);
    ftl_panel_free(panel);
}

/* A model may see the rows before the window and nothing else: later values that change must change no forecast. */
TEST(models_see_nothing_of_the_test_window)
{
    ftl_panel *panel = small_panel();
    ftl_config *config;
    ftl_scores before, after;
    CHECK_INT(ftl_config_new("seasonal-naive", &config, NULL), FTL_OK);
    CHECK_INT(ftl_evaluate(config, panel, &small_set, NULL, NULL, NULL, &before, NULL), FTL_OK);
    double *y = (double *)ftl_series_values(ftl_panel_series(panel, 0));
    y[4] += 100, y[5] += 100;
    CHECK_INT(ftl_evaluate(config, panel, &small_set, NULL, NULL, NULL, &after, NULL), FTL_OK);
    /* the errors of 'a' grow by exactly the 100 that both of its values moved: its two forecasts stood still */
    double scale = 4.0 / 3;
    CHECK_NEAR(after.mase - before.mase, 100 / scale, 1e-9);
    ftl_config_free(config);
    ftl_panel_free(panel);
}

TEST(a_refused_series_gets_the_baseline_and_is_counted)
{
    ftl_panel *panel = small_panel();
    ftl_config *config;
    ftl_scores model, naive;
    CHECK_INT(ftl_config_new("seasonal-naive:season=50", &config, NULL), FTL_OK);
    CHECK_INT(ftl_evaluate(config, panel, &small_set, NULL, NULL, NULL, &model, NULL), FTL_OK);
    CHECK_INT(ftl_evaluate(NULL, panel, &small_set, NULL, NULL, NULL, &naive, NULL), FTL_OK);
    CHECK_INT(model.n_fallbacks, 2);
    CHECK_CONTAINS(model.first_failure, "series 'a'");
    CHECK_NEAR(model.wql, naive.wql, 0);
    ftl_config_free(config);
    ftl_panel_free(panel);
}

TEST(series_by_index_get_dates_where_the_calendar_is_known)
{
    ftl_panel *panel;
    ftl_config *config;
    ftl_scores s;
    char text[4096] = "unique_id,ds,y\n";
    size_t used = strlen(text);
    for (int t = 1; t <= 48; t++)
        used += (size_t)snprintf(text + used, sizeof text - used, "x,%d,%d\n", t, 10 + (t % 12 == 0 ? 50 : 0));
    ftl_dataset set = {.name = "m", .horizon = 12, .offset = 12, .season = 12, .has_freq = true};
    CHECK_INT(ftl_freq_parse("MS", &set.freq, NULL), FTL_OK);
    CHECK_INT(ftl_panel_parse_csv(text, used, "text", NULL, &panel, NULL), FTL_OK);
    CHECK_INT(ftl_config_new("prophet", &config, NULL), FTL_OK);
    ftl_error err = {FTL_OK, ""};
    if (ftl_evaluate(config, panel, &set, NULL, NULL, NULL, &s, &err)) fail_msg("%s", err.message);
    CHECK_INT(s.n_fallbacks, 0);
    CHECK(s.rmse < 5); /* the yearly season is found, which needs months */
    ftl_config_free(config);
    ftl_panel_free(panel);
}

TEST(data_without_a_test_window_is_refused)
{
    ftl_panel *panel = small_panel();
    ftl_scores s;
    ftl_error err;
    ftl_dataset set = small_set;
    set.offset = 6;
    CHECK_INT(ftl_evaluate(NULL, panel, &set, NULL, NULL, NULL, &s, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "no series has more than the 6 rows");
    set.offset = 1;
    CHECK_INT(ftl_evaluate(NULL, panel, &set, NULL, NULL, NULL, &s, &err), FTL_EINVAL);
    ftl_panel_free(panel);
}

TEST(memory_may_run_out_anywhere)
{
    ftl_panel *panel = small_panel();
    ftl_config *config;
    ftl_scores s;
    CHECK_INT(ftl_config_new("seasonal-naive", &config, NULL), FTL_OK);
    const ftl_evaluate_args args = {.n_threads = 1};
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 500; n++) {
        fi_alloc_fail_after(n);
        st = ftl_evaluate(config, panel, &small_set, &args, NULL, NULL, &s, NULL);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
    ftl_config_free(config);
    ftl_panel_free(panel);
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

static void append(const char *path, const char *model, double wql)
{
    ftl_result r = {
        .dataset = "d, e", .model = model, .horizon = 3, .scores = {.wql = wql, .mase = NAN, .n_series = 7}};
    char *row;
    CHECK_INT(ftl_result_csv(&r, &row, NULL), FTL_OK);
    CHECK_INT(ftl_csv_append(path, ftl_result_header(false), row, NULL), FTL_OK);
    ftl_text_free(row);
}

TEST(results_are_appended_and_read_back)
{
    const char *path = inside("results.csv");
    ftl_results *results;
    append(path, "x", 0.1);
    append(path, "y", 0.25);
    FILE *file = fopen(path, "a");
    CHECK(file && fputs("\"d, e\",z,7,3,0.", file) > 0 && !fclose(file)); /* a run that was killed while it wrote */
    CHECK_INT(ftl_results_new(&results, NULL), FTL_OK);
    CHECK_INT(ftl_results_read(results, path, NULL, NULL), FTL_OK);
    CHECK_INT(ftl_results_n(results), 2);
    CHECK(!ftl_results_find(results, "d, e", "z"));
    append(path, "z", 0.5);
    CHECK_INT(ftl_results_read(results, path, NULL, NULL), FTL_OK);
    CHECK_INT(ftl_results_n(results), 3);
    const ftl_result *z = ftl_results_find(results, "d, e", "z");
    CHECK(z && z->scores.wql == 0.5 && isnan(z->scores.mase) && z->scores.n_series == 7 && z->horizon == 3);
    ftl_results_free(results);
    ftl_error err;
    CHECK_INT(ftl_csv_append(path, "other,header\n", "1,2\n", &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "header");
}

TEST(published_scores_are_results_too)
{
    const char *path =
        write_file("published.csv", "dataset,model,MASE,WQL\nercot,org/name,0.5,0.02\nnn5,org/name,0.6,\n");
    ftl_results *results;
    ftl_error err;
    CHECK_INT(ftl_results_new(&results, NULL), FTL_OK);
    CHECK_INT(ftl_results_read(results, path, "short", NULL), FTL_OK);
    CHECK_NEAR(ftl_results_find(results, "ercot", "short")->scores.wql, 0.02, 0);
    CHECK_NEAR(ftl_results_find(results, "nn5", "short")->scores.wql, NAN, 0);
    CHECK_INT(ftl_results_read(results, write_file("p2.csv", "dataset,model,MASE\na,b,x\n"), NULL, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "p2.csv:2: column 'MASE': 'x' is not a number");
    CHECK_INT(ftl_results_read(results, write_file("p3.csv", "set,model\na,b\n"), NULL, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "no column 'dataset'");
    ftl_results_free(results);
}

/* Four sets; a halves the baseline everywhere, b doubles one set and equals it elsewhere, c has one set only. */
static ftl_results *made_results(void)
{
    static const struct {
        const char *model;
        double relative[4];
    } models[] = {
        {"base", {1, 1, 1, 1}}, {"b", {1, 2, 1, 1}}, {"a", {0.5, 0.5, 0.5, 0.5}}, {"c", {NAN, NAN, 0.25, NAN}}};
    static const char *const sets[] = {"s1", "s2", "s3", "s4"};
    ftl_results *results;
    CHECK_INT(ftl_results_new(&results, NULL), FTL_OK);
    for (size_t m = 0; m < 4; m++)
        for (size_t i = 0; i < 4; i++) {
            double x = models[m].relative[i];
            ftl_result r = {.dataset = sets[i], .model = models[m].model, .scores = {.wql = 3 * x, .mase = 7 * x}};
            r.scores.seconds = r.scores.peak_mb = m == 3 ? NAN : (double)(i + 1);
            r.scores.n_fallbacks = m;
            if (!isnan(x)) CHECK_INT(ftl_results_add(results, &r, NULL), FTL_OK);
            r.id = "one series"; /* is passed over */
            r.scores.wql = 1000;
            if (!isnan(x)) CHECK_INT(ftl_results_add(results, &r, NULL), FTL_OK);
        }
    return results;
}

TEST(summaries_of_results)
{
    ftl_results *results = made_results();
    ftl_summary *s;
    ftl_error err;
    CHECK_INT(ftl_results_summarise(results, "base", 0, &s, NULL), FTL_OK);
    CHECK_INT(ftl_summary_n_sets(s), 4);
    CHECK_INT(ftl_summary_n_models(s), 4);
    const ftl_standing *c = ftl_summary_standing(s, 0), *a = ftl_summary_standing(s, 1),
                       *base = ftl_summary_standing(s, 2), *b = ftl_summary_standing(s, 3);
    CHECK_TEXT(a->model, "a");
    CHECK_TEXT(b->model, "b");
    CHECK_INT(c->n_sets, 1);
    CHECK_NEAR(c->score[0], 0.25, 1e-15);
    CHECK_NEAR(c->rank[0], NAN, 0);
    CHECK_NEAR(a->score[1], 0.5, 1e-15);
    CHECK_NEAR(a->low[0], 0.5, 1e-15);
    CHECK_NEAR(a->high[0], 0.5, 1e-15);
    CHECK_NEAR(b->score[0], pow(2, 0.25), 1e-15);
    CHECK(b->low[0] == 1 && b->high[0] > b->score[0] && b->high[0] <= 2);
    CHECK_NEAR(a->rank[0], 1, 1e-15);
    CHECK_NEAR(base->rank[0], (2.5 * 3 + 2) / 4, 1e-15);
    CHECK_NEAR(b->rank[0], (2.5 * 3 + 3) / 4, 1e-15);
    CHECK_NEAR(base->win_rate[0], (0 + 0 + 2.5) / 9, 1e-15); /* against b: three ties and a win; c once, a four times */
    CHECK_NEAR(a->seconds, 10, 0);
    CHECK_NEAR(a->peak_mb, 4, 0);
    CHECK_INT(a->n_fallbacks, 8);
    CHECK_NEAR(c->seconds, NAN, 0);
    CHECK_NEAR(ftl_summary_wins(s, FTL_METRIC_MASE, 2, 3), 2.5 / 4, 0);
    /* a against the baseline: four equal differences, z = (5 - 0.5) / sqrt(7.5 - 1.25) */
    CHECK_NEAR(ftl_summary_p_value(s, FTL_METRIC_WQL, 1, 2), erfc(1.8 / sqrt(2)), 1e-15);
    CHECK_NEAR(ftl_summary_p_value(s, FTL_METRIC_WQL, 2, 3), NAN, 0);
    CHECK_NEAR(ftl_summary_critical_difference(s), 2.343 * sqrt(3 * 4 / (6.0 * 4)), 1e-3);
    for (int table = 0; table < 3; table++)
        for (int markdown = 0; markdown < 2; markdown++) {
            char *text;
            CHECK_INT(ftl_summary_text(s, (ftl_summary_table)table, markdown, &text, NULL), FTL_OK);
            CHECK_CONTAINS(text, markdown ? "| a |" : "a,");
            ftl_text_free(text);
        }
    for (int picture = 0; picture < 3; picture++)
        CHECK_INT(ftl_plot_summary(s, (ftl_summary_picture)picture, FTL_METRIC_WQL, NULL, FTL_PLOT_SVG, inside("p.svg"),
                                   NULL),
                  FTL_OK);
    ftl_summary_free(s);
    CHECK_INT(ftl_results_summarise(results, "nobody", 0, &s, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "no scores of the baseline 'nobody'");
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 100; n++) {
        fi_alloc_fail_after(n);
        st = ftl_results_summarise(results, "base", 0, &s, NULL);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
    ftl_summary_free(s);
    ftl_results_free(results);
}

/* The whole benchmark: the baseline's published scores to the six digits that the manifest has. */
TEST(the_baseline_of_every_shared_data_set_is_reproduced)
{
    if (shared_lacks("data/manifest.csv")) skip();
    ftl_manifest *m;
    CHECK_INT(ftl_manifest_read(shared_path("data/manifest.csv"), &m, NULL), FTL_OK);
    size_t n = ftl_manifest_n_datasets(m);
    CHECK(n > 30);
    for (size_t i = 0; i < n; i++) {
        const ftl_dataset *set = ftl_manifest_dataset(m, i);
        ftl_panel *panel;
        ftl_scores s;
        CHECK_INT(ftl_panel_read_csv(set->path, NULL, &panel, NULL), FTL_OK);
        CHECK_INT(ftl_evaluate(NULL, panel, set, NULL, NULL, NULL, &s, NULL), FTL_OK);
        if (fabs(s.mase - set->snaive_mase) > 5.1e-7 || fabs(s.wql - set->snaive_wql) > 5.1e-7)
            fail_msg("%s: MASE %.7f for %.6f, WQL %.7f for %.6f", set->name, s.mase, set->snaive_mase, s.wql,
                     set->snaive_wql);
        ftl_panel_free(panel);
    }
    ftl_manifest_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifests_are_read_and_checked),
        cmocka_unit_test(the_baseline_is_that_of_the_benchmark),
        cmocka_unit_test(windows_roll_and_threads_change_nothing),
        cmocka_unit_test(models_see_nothing_of_the_test_window),
        cmocka_unit_test(a_refused_series_gets_the_baseline_and_is_counted),
        cmocka_unit_test(series_by_index_get_dates_where_the_calendar_is_known),
        cmocka_unit_test(data_without_a_test_window_is_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(results_are_appended_and_read_back),
        cmocka_unit_test(published_scores_are_results_too),
        cmocka_unit_test(summaries_of_results),
        cmocka_unit_test(the_baseline_of_every_shared_data_set_is_reproduced),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
