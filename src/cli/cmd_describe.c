#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SERIES = 3, PLOT_SERIES = 4 }; /* up to so many are told in words, and drawn */

/* Counts over all series. */
typedef struct totals {
    size_t n, rows, missing, with_gaps, constant, seasonal, trending, shifted, with_outliers, demand[5];
} totals;

typedef struct report {
    cli_output out;
    int format; /* 0 by the number of series, 1 text, 2 csv */
    bool ids;
    totals sum;
} report;

static double strongest(const ftl_description *d)
{
    double best = NAN;
    for (size_t i = 0; i < d->n_periods; i++)
        if (d->periods[i].found) best = fmax(best, d->periods[i].strength);
    return best;
}

static void add(totals *t, const ftl_description *d)
{
    t->n++;
    t->rows += d->n;
    t->missing += d->n_missing;
    t->with_gaps += d->n_missing > 0;
    t->constant += d->constant;
    t->seasonal += isnan(strongest(d)) ? 0 : 1;
    t->trending += d->trend_strength > 0.6;
    t->shifted += d->n_shifts > 0;
    t->with_outliers += d->n_outliers > 0;
    t->demand[d->demand]++;
}

/* ---- CSV -------------------------------------------------------------------------------------------------------- */

static void put_csv_text(FILE *to, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, to);
        return;
    }
    fputc('"', to);
    for (; *text; text++) fputs(*text == '"' ? "\"\"" : (char[]){*text, 0}, to);
    fputc('"', to);
}

static void put_real(FILE *to, const char *before, double value)
{
    fputs(before, to);
    if (!isnan(value)) fprintf(to, "%.6g", value);
}

static void put_header(FILE *to)
{
    fputs("unique_id,freq,rows,observed,missing,gaps,longest_gap,duplicates,zeros,negative,mean,sd,min,max,constant,"
          "adi,cv2,"
          "demand,seasons,season_strengths,trend_strength,differences,seasonal_differences,outliers,shifts,advice\n",
          to);
}

static void put_row(FILE *to, const char *id, const ftl_description *d)
{
    put_csv_text(to, id);
    fprintf(to, ",%s,%zu,%zu,%zu,%zu,%zu,%zu,%zu,%zu", d->freq, d->n, d->n_observed, d->n_missing, d->n_gaps,
            d->longest_gap, d->n_duplicates, d->n_zeros, d->n_negative);
    const double reals[] = {d->mean, d->sd, d->min, d->max};
    for (size_t i = 0; i < 4; i++) put_real(to, ",", reals[i]);
    fprintf(to, ",%d", d->constant);
    put_real(to, ",", d->adi);
    put_real(to, ",", d->cv2);
    fprintf(to, ",%s,", ftl_demand_name(d->demand));
    for (size_t i = 0, n = 0; i < d->n_periods; i++)
        if (d->periods[i].found) fprintf(to, "%s%zu", n++ ? "+" : "", d->periods[i].steps);
    fputc(',', to);
    for (size_t i = 0, n = 0; i < d->n_periods; i++)
        if (d->periods[i].found) fprintf(to, "%s%.3f", n++ ? "+" : "", d->periods[i].strength);
    put_real(to, ",", d->trend_strength);
    fprintf(to, ",%zu,%zu,%zu,%zu,", d->differences, d->seasonal_differences, d->n_outliers, d->n_shifts);
    put_csv_text(to, d->advice);
    fputc('\n', to);
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static const char *time_text(const ftl_description *d, size_t row)
{
    static char text[4][FTL_TIME_TEXT_MAX];
    static size_t turn;
    char *to = text[turn++ % 4];
    ftl_time_format(d->times[row], d->kind, to);
    return to;
}

static void tell_seasons(FILE *to, const ftl_description *d)
{
    if (!d->n_periods) fprintf(to, "seasons      none\n");
    for (size_t i = 0; i < d->n_periods; i++) {
        const ftl_period *p = &d->periods[i];
        fprintf(to, "%s%zu steps: strength %.2f, autocorrelation %.2f, %.0f %% of the spectrum%s\n",
                i ? "             " : "seasons      ", p->steps, p->strength, p->autocorrelation, 100 * p->power,
                !p->found  ? " (usual, not found)"
                : p->usual ? " (the usual one)"
                           : "");
    }
}

static void tell_events(FILE *to, const ftl_description *d)
{
    enum { MOST = 8 };
    fprintf(to, "outliers     %zu", d->n_outliers);
    for (size_t i = 0; i < d->n_outliers && i < MOST; i++)
        fprintf(to, "%s%s (%g)", i ? ", " : ": ", time_text(d, d->outliers[i]), d->y[d->outliers[i]]);
    fprintf(to, "%s\nshifts       %zu", d->n_outliers > MOST ? " ..." : "", d->n_shifts);
    for (size_t i = 0; i < d->n_shifts; i++)
        fprintf(to, "%s%s (%.4g to %.4g)", i ? ", " : ": ", time_text(d, d->shifts[i].row), d->shifts[i].before,
                d->shifts[i].after);
    fputc('\n', to);
}

static void tell(FILE *to, const char *id, const ftl_description *d)
{
    if (*id) fprintf(to, "series       %s\n", id);
    fprintf(to, "frequency    %s\n", d->freq);
    fprintf(to, "rows         %s, %s to %s\n", cli_grouped(d->n), time_text(d, 0), time_text(d, d->n - 1));
    fprintf(to, "missing      %s (%.1f %%) in %s gap%s, the longest of %s\n", cli_grouped(d->n_missing),
            100 * (double)d->n_missing / (double)d->n, cli_grouped(d->n_gaps), d->n_gaps == 1 ? "" : "s",
            cli_grouped(d->longest_gap));
    if (d->n_duplicates) fprintf(to, "duplicates   %s\n", cli_grouped(d->n_duplicates));
    if (d->n_observed)
        fprintf(to, "values       %g to %g, mean %.6g; %s zero%s, %s negative%s\n", d->min, d->max, d->mean,
                cli_grouped(d->n_zeros), d->n_zeros == 1 ? "" : "s", cli_grouped(d->n_negative),
                d->constant ? "; constant" : "");
    if (d->demand != FTL_DEMAND_NONE)
        fprintf(to, "demand       %s: every %.2f steps, CV^2 %.2f\n", ftl_demand_name(d->demand), d->adi, d->cv2);
    if (d->acf) {
        tell_seasons(to, d);
        fprintf(to, "trend        strength %.2f\n", d->trend_strength);
        fprintf(to, "differences  %zu, seasonal %zu\n", d->differences, d->seasonal_differences);
        tell_events(to, d);
    }
    fprintf(to, "advice       %s\n", d->advice);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static void put_json_real(FILE *to, const char *key, double value)
{
    fprintf(to, isfinite(value) ? ",\"%s\":%.17g" : ",\"%s\":null", key, value);
}

static void put_json(FILE *to, const char *id, const ftl_description *d)
{
    fputs("{\"unique_id\":", to);
    cli_print_json_text(to, id);
    fprintf(to,
            ",\"freq\":\"%s\",\"rows\":%zu,\"from\":\"%s\",\"to\":\"%s\",\"observed\":%zu,\"missing\":%zu,\"gaps\":%zu,"
            "\"longest_gap\":%zu,\"duplicates\":%zu,\"zeros\":%zu,\"negative\":%zu,\"constant\":%s",
            d->freq, d->n, time_text(d, 0), time_text(d, d->n - 1), d->n_observed, d->n_missing, d->n_gaps,
            d->longest_gap, d->n_duplicates, d->n_zeros, d->n_negative, d->constant ? "true" : "false");
    put_json_real(to, "mean", d->mean);
    put_json_real(to, "sd", d->sd);
    put_json_real(to, "min", d->min);
    put_json_real(to, "max", d->max);
    put_json_real(to, "adi", d->adi);
    put_json_real(to, "cv2", d->cv2);
    fprintf(to, ",\"demand\":\"%s\",\"seasons\":[", ftl_demand_name(d->demand));
    for (size_t i = 0; i < d->n_periods; i++) {
        const ftl_period *p = &d->periods[i];
        fprintf(to, "%s{\"steps\":%zu,\"found\":%s,\"usual\":%s", i ? "," : "", p->steps, p->found ? "true" : "false",
                p->usual ? "true" : "false");
        put_json_real(to, "strength", p->strength);
        put_json_real(to, "autocorrelation", p->autocorrelation);
        put_json_real(to, "power", p->power);
        fputc('}', to);
    }
    fputc(']', to);
    put_json_real(to, "trend_strength", d->trend_strength);
    fprintf(to, ",\"differences\":%zu,\"seasonal_differences\":%zu,\"outliers\":[", d->differences,
            d->seasonal_differences);
    for (size_t i = 0; i < d->n_outliers; i++)
        fprintf(to, "%s{\"ds\":\"%s\",\"y\":%.17g}", i ? "," : "", time_text(d, d->outliers[i]), d->y[d->outliers[i]]);
    fputs("],\"shifts\":[", to);
    for (size_t i = 0; i < d->n_shifts; i++)
        fprintf(to, "%s{\"ds\":\"%s\",\"before\":%.17g,\"after\":%.17g}", i ? "," : "", time_text(d, d->shifts[i].row),
                d->shifts[i].before, d->shifts[i].after);
    fputs("],\"advice\":", to);
    cli_print_json_text(to, d->advice);
    fputc('}', to);
}

static void put_json_totals(FILE *to, const totals *t)
{
    fprintf(to,
            "],\"summary\":{\"series\":%zu,\"rows\":%zu,\"missing\":%zu,\"with_missing\":%zu,\"constant\":%zu,"
            "\"seasonal\":%zu,\"trending\":%zu,\"shifted\":%zu,\"with_outliers\":%zu",
            t->n, t->rows, t->missing, t->with_gaps, t->constant, t->seasonal, t->trending, t->shifted,
            t->with_outliers);
    for (int i = 0; i < 5; i++) fprintf(to, ",\"demand_%s\":%zu", ftl_demand_name((ftl_demand)i), t->demand[i]);
    fputs("}}\n", to);
}

static void note_totals(const totals *t)
{
    double all = (double)t->n / 100;
    cli_note("%s series, %s rows, %.1f %% missing (in %s series)", cli_grouped(t->n), cli_grouped(t->rows),
             t->rows ? 100 * (double)t->missing / (double)t->rows : 0, cli_grouped(t->with_gaps));
    cli_note("%.0f %% with a season, %.0f %% with a trend, %.0f %% with level shifts, %.0f %% with outliers, %.0f %% "
             "constant",
             (double)t->seasonal / all, (double)t->trending / all, (double)t->shifted / all,
             (double)t->with_outliers / all, (double)t->constant / all);
    cli_note("demand: smooth %s, erratic %s, intermittent %s, lumpy %s; none %s", cli_grouped(t->demand[1]),
             cli_grouped(t->demand[2]), cli_grouped(t->demand[3]), cli_grouped(t->demand[4]),
             cli_grouped(t->demand[0]));
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static ftl_status describe_one(report *r, const ftl_series *s, const ftl_freq *freq, ftl_description **out,
                               ftl_error *err)
{
    char *text = NULL;
    size_t size;
    ftl_status st = ftl_describe(s, freq, out, err);
    if (st) return st;
    FILE *to = open_memstream(&text, &size);
    if (cli_json) {
        fputs(r->sum.n ? "," : "{\"series\":[", to);
        put_json(to, ftl_series_id(s), *out);
    } else if (r->format == 1) {
        if (r->sum.n) fputc('\n', to);
        tell(to, ftl_series_id(s), *out);
    } else {
        if (!r->sum.n) put_header(to);
        put_row(to, ftl_series_id(s), *out);
    }
    fclose(to);
    add(&r->sum, *out);
    st = cli_put_text(&r->out, text, err);
    free(text);
    return st;
}

static ftl_status end_json(report *r, ftl_error *err)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    put_json_totals(to, &r->sum);
    fclose(to);
    ftl_status st = cli_put_text(&r->out, text, err);
    free(text);
    return st;
}

int cmd_describe(int argc, char **argv)
{
    cli_input in = {0};
    report r = {.out = {.path = "-"}};
    ftl_plot_style style = {0};
    const char *picture = NULL;
    static const cli_page page = {
        .name = "describe",
        .arguments = "FILE.csv",
        .min_args = 1,
        .max_args = 1,
        .about =
            "Says what a forecaster wants to know of each series: gaps, demand that comes now and then, seasons by "
            "autocorrelation and spectrum and how strong they are, trend, differences, outliers, shifts of the level, "
            "and which models make sense. Up to three series are told in words, more as a CSV table with a summary on "
            "standard error.",
        .examples =
            "  foretell describe sales.csv\n  # the series, its parts, autocorrelations and spectrum as a picture\n"
            "  foretell describe sales.csv --plot sales.svg\n"
            "  # a table of many series\n  foretell describe all.csv --format csv -o facts.csv\n"};
    const cli_option options[] = {
        CLI_OPT_TEXT('o', "output", &r.out.path, "FILE",
                     "write there instead of to standard output, whole or not at all"),
        CLI_OPT_CHOICE(0, "format", &r.format, "auto|text|csv",
                       "text for up to three series, else csv (default: auto)"),
        CLI_OPT_TEXT(0, "plot", &picture, "FILE.svg", "also draw the first series, up to four (or .png, .pdf)"),
        CLI_OPT_FLAG(0, "dark", &style.dark, "light strokes on a dark ground"),
        CLI_INPUT_OPTIONS(&in),
        CLI_COMMON_OPTIONS("one JSON object, for an error too"),
        CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    ftl_panel *panel = NULL;
    ftl_description *drawn[PLOT_SERIES] = {NULL};
    const ftl_series *series[PLOT_SERIES];
    const ftl_freq *freq = NULL;
    ftl_plot_format format = FTL_PLOT_SVG;
    ftl_error err = {FTL_OK, ""};
    size_t n_drawn = 0;
    const ftl_csv_options csv = cli_csv_options(&in, false);
    ftl_status st = cli_freq(&in, &freq, &err);
    if (!st && picture) st = ftl_plot_format_of(picture, &format, &err);
    if (!st && picture) st = cli_output_check(picture, &err);
    if (!st) st = cli_output_check(r.out.path, &err);
    if (!st) st = ftl_panel_read_csv(args.v[0], &csv, &panel, &err);
    size_t n = st ? 0 : ftl_panel_n_series(panel);
    if (!r.format) r.format = n <= TEXT_SERIES ? 1 : 2;
    for (size_t i = 0; i < n && !st; i++) {
        ftl_description *d = NULL;
        const ftl_series *s = ftl_panel_series(panel, i);
        st = describe_one(&r, s, freq, &d, &err);
        if (!st && picture && n_drawn < PLOT_SERIES) {
            series[n_drawn] = s;
            drawn[n_drawn++] = d;
        } else {
            ftl_description_free(d);
        }
    }
    if (!st && cli_json) st = end_json(&r, &err);
    if (st && cli_json) r.out.used = 0; /* the error takes the object's place */
    ftl_status ended = cli_output_end(&r.out, !st, st ? NULL : &err);
    if (!st) st = ended;
    if (!st && n > 1) note_totals(&r.sum);
    if (!st && picture)
        st = ftl_plot_descriptions(series, (const ftl_description *const *)drawn, n_drawn, &style, format, picture,
                                   &err);
    for (size_t i = 0; i < n_drawn; i++) ftl_description_free(drawn[i]);
    ftl_panel_free(panel);
    return st ? cli_report(&err) : CLI_DONE;
}
