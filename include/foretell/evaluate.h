/**
 * @file evaluate.h
 * Judging forecasters: data sets of a manifest, scores as GluonTS and the Chronos paper define them, a file of results.
 *
 *     ftl_manifest *manifest;  ftl_panel *panel;  ftl_scores scores;
 *     ftl_manifest_read("manifest.csv", &manifest, &err);
 *     const ftl_dataset *set = ftl_manifest_dataset(manifest, 0);
 *     ftl_panel_read_csv(set->path, NULL, &panel, &err);
 *     ftl_evaluate(config, panel, set, NULL, NULL, NULL, &scores, &err);
 */
#ifndef FORETELL_EVALUATE_H
#define FORETELL_EVALUATE_H

#include <foretell/forecaster.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A data set and how it is judged. Owned by its manifest; a caller may also fill one himself. */
typedef struct ftl_dataset {
    const char *name;
    const char *path;  /**< of the CSV file; where the manifest names a relative one, it is relative to the manifest */
    const char *group; /**< column in_benchmark: "I", "II", "none"; "" without */
    const char *freq_text; /**< as it stands in the manifest; "" without */
    bool has_freq; /**< a calendar step; false for "O", or where the manifest has none: inferred from the times */
    ftl_freq freq;
    size_t horizon;
    size_t season;         /**< of MASE and of the seasonal naive baseline; 0: the usual one of the frequency */
    size_t natural_season; /**< what models are told where their own option `season` is unset; 0: as `season` */
    size_t offset;         /**< the test window begins so many rows before the end; >= horizon */
    double snaive_mase, snaive_wql; /**< what the manifest says of the baseline; NaN without */
} ftl_dataset;

typedef struct ftl_manifest ftl_manifest;
/**
 * Reads a manifest: a CSV file with a header. Columns name, file and horizon are needed; season_length, natural_season,
 * freq, test_offset (default: the horizon), in_benchmark, snaive_mase and snaive_wql may be there, others are passed over.
 * @return FTL_OK; FTL_EDATA with "file:line: column 'c': ..." (no such column, no number, two sets of one name, a horizon
 *         of 0 or beyond the offset); FTL_EIO; FTL_ENOMEM
 */
FTL_API ftl_status ftl_manifest_read(const char *path, ftl_manifest **out, ftl_error *err);
FTL_API size_t ftl_manifest_n_datasets(const ftl_manifest *manifest);
/** @return the i-th data set, owned by the manifest; NULL past the last one. */
FTL_API const ftl_dataset *ftl_manifest_dataset(const ftl_manifest *manifest, size_t i);
/** @return the data set of that name, or NULL. */
FTL_API const ftl_dataset *ftl_manifest_find(const ftl_manifest *manifest, const char *name);
FTL_API void ftl_manifest_free(ftl_manifest *manifest);

/** Number of quantile levels that are scored: 0.1, 0.2 ... 0.9. */
#define FTL_SCORED_LEVELS 9

/**
 * Scores over all test points of all series (or of one series). A point without an observation is left out. With y the
 * observation, q_a the quantile of level a, f the median, p the point forecast, and s the scale of the series, which is
 * the mean of |y[t] - y[t-m]| over its history (m = season, or 1 where the history is not longer; pairs with a missing
 * value left out):
 *
 *     wql      mean over a of  sum 2 (a (y - q_a)+ + (1 - a) (q_a - y)+) / sum |y|
 *     mase     mean |y - f| / s             (series of scale 0 or without one left out)
 *     smape    mean 2 |y - f| / (|y| + |f|) (0 where both are 0)
 *     mape     mean |y - f| / |y|           (y = 0 left out)
 *     rmse     sqrt(mean (y - p)^2)
 *     crps     mean of 2 times the mean pinball loss over a, or from sample paths  E|X - y| - E|X - X'| / 2
 *     scrps    the same, each series divided by s
 *     coverage share of y within [q_0.1, q_0.9], nominally 0.8
 *     msis     mean of (u - l + 10 (l - y)+ + 10 (y - u)+) / s for that interval (l, u)
 *
 * Sources: Ansari et al. 2024, section 5.3 and appendix D; Hyndman & Koehler 2006 (MASE); Gneiting & Raftery 2007 (CRPS,
 * interval score); GluonTS 0.15, gluonts.ev.metrics. NaN where nothing could be scored.
 */
typedef struct ftl_scores {
    size_t n_series, n_points;
    size_t n_fallbacks; /**< series that the model refused: forecast by the seasonal naive baseline instead */
    double wql, mase, smape, mape, rmse, crps, scrps, coverage, msis;
    double pinball[FTL_SCORED_LEVELS]; /**< weighted quantile loss of each level; wql is their mean */
    double
        pit[FTL_SCORED_LEVELS + 1]; /**< share of observations between consecutive quantiles: 0.1 each is calibrated */
    double seconds;                 /**< wall time of fits and forecasts */
    double peak_mb;                 /**< resident memory of the process at its highest meanwhile, in 10^6 bytes */
    char first_failure[512];        /**< why the first fallback was needed; "" without */
} ftl_scores;

/** How to evaluate. Zero-initialise for the defaults (so does NULL). */
typedef struct ftl_evaluate_args {
    uint64_t seed;
    size_t n_threads; /**< 0: one a processor. No effect on scores */
    size_t n_samples; /**< crps from so many sample paths, for models that give them; 0: from the quantiles */
    size_t windows;   /**< rolling origins, the last one at the data set's offset, each a horizon earlier; 0: 1 */
    ftl_progress_fn progress;
    void *progress_user;
} ftl_evaluate_args;

/** Takes the scores of each series (of each window, in order), on the calling thread. Returns false to stop. */
typedef bool (*ftl_series_scores_fn)(void *user, const char *id, size_t window, const ftl_scores *scores);

/**
 * Forecasts the test window of every series of a panel and scores it. The model gets a copy of the rows before the window
 * and nothing else: no later value, no further column. Series by index whose data set has a calendar frequency get nominal
 * dates from 2000-01-01, for models that need a calendar.
 *
 * @param config   NULL: the seasonal naive baseline of the benchmark, which repeats the last season's values, the same at
 *                 all levels, with gaps where the season has them
 * @param dataset  borrowed; path is not used
 * @param each     may be NULL
 * @return FTL_OK; FTL_EDATA (no series is longer than the offset); FTL_ECANCELLED; FTL_ENOMEM
 */
FTL_API ftl_status ftl_evaluate(const ftl_config *config, const ftl_panel *panel, const ftl_dataset *dataset,
                                const ftl_evaluate_args *args, ftl_series_scores_fn each, void *user, ftl_scores *out,
                                ftl_error *err);

/** Rows of scores by data set and model: a results file in memory. */
typedef struct ftl_results ftl_results;
typedef struct ftl_result {
    const char *dataset, *model;
    const char *id; /**< of one series; NULL: the whole data set */
    size_t window;  /**< of one series */
    size_t horizon;
    ftl_scores scores; /**< NaN where the file has no such column */
} ftl_result;
FTL_API ftl_status ftl_results_new(ftl_results **out, ftl_error *err);
/**
 * Adds the rows of a CSV file with columns dataset and model (or dataset_config and model_name, as in the files of
 * the fev benchmark) and any of those that ftl_result_csv() writes; so also the scores published with Chronos. The
 * prefix "monash_" of published data sets is taken off. A later row replaces an earlier one of the same data set, model and series. A file
 * whose last line was cut off is read without that line.
 * @param model  NULL, or the name under which all rows of this file go
 * @return FTL_OK; FTL_EDATA with place and remedy; FTL_EIO; FTL_ENOMEM
 */
FTL_API ftl_status ftl_results_read(ftl_results *results, const char *path, const char *model, ftl_error *err);
FTL_API ftl_status ftl_results_add(ftl_results *results, const ftl_result *result, ftl_error *err);
FTL_API size_t ftl_results_n(const ftl_results *results);
FTL_API const ftl_result *ftl_results_at(const ftl_results *results, size_t i);
/** @return the row of that data set (the whole) and model, or NULL. */
FTL_API const ftl_result *ftl_results_find(const ftl_results *results, const char *dataset, const char *model);
FTL_API void ftl_results_free(ftl_results *results);

/** The header line of a results file, or of one with a row for each series, with its line end. Static. */
FTL_API const char *ftl_result_header(bool of_series);
/** One row as CSV with its line end; that of a series (id) goes under the other header. ftl_text_free(). */
FTL_API ftl_status ftl_result_csv(const ftl_result *result, char **out, ftl_error *err);
/**
 * Appends lines to a CSV file, on disk when the call returns; the header goes first into a file that is new or empty, and
 * a last line that was cut off by a crash is taken away.
 * @param header  one line with its line end, as ftl_result_header()
 * @param lines   whole lines, as ftl_result_csv() makes
 * @return FTL_OK; FTL_EDATA (the file begins with another header); FTL_EIO; FTL_ENOMEM
 */
FTL_API ftl_status ftl_csv_append(const char *path, const char *header, const char *lines, ftl_error *err);

/** What models are compared by; lower is better. */
typedef enum ftl_metric { FTL_METRIC_WQL, FTL_METRIC_MASE, FTL_N_METRICS } ftl_metric;

/**
 * How a model stands over the data sets. Its score on a set is divided by that of the baseline; the aggregate is the
 * geometric mean (Fleming & Wallace 1986; Ansari et al. 2024). Ranks and comparisons count models that have all sets.
 */
typedef struct ftl_standing {
    const char *model;
    size_t n_sets;               /**< that it has scores of */
    double score[FTL_N_METRICS]; /**< geometric mean relative to the baseline; NaN without any */
    double low[FTL_N_METRICS],
        high[FTL_N_METRICS];        /**< 95 % interval: percentiles of 10,000 bootstraps over the sets */
    double rank[FTL_N_METRICS];     /**< average rank, ties shared; NaN where sets are lacking */
    double win_rate[FTL_N_METRICS]; /**< share of comparisons with another model on a set that it wins, ties half */
    double seconds, peak_mb;        /**< sum and greatest of its rows; NaN where no row says */
    size_t n_fallbacks;
} ftl_standing;

/** Aggregates of results: standings, best first, and comparisons. */
typedef struct ftl_summary ftl_summary;
/**
 * Compares all models on the data sets on which the baseline has a score. Rows of single series are passed over.
 * @param results   borrowed; must live as long as the summary
 * @param baseline  model that scores are relative to; NULL: "seasonal-naive"
 * @param seed      of the bootstrap
 * @return FTL_OK; FTL_EDATA (the baseline has no scores); FTL_ENOMEM
 */
FTL_API ftl_status ftl_results_summarise(const ftl_results *results, const char *baseline, uint64_t seed,
                                         ftl_summary **out, ftl_error *err);
FTL_API size_t ftl_summary_n_sets(const ftl_summary *summary);
FTL_API const char *ftl_summary_set(const ftl_summary *summary, size_t set);
FTL_API size_t ftl_summary_n_models(const ftl_summary *summary);
/** @return the model in place i by its relative WQL, owned by the summary. */
FTL_API const ftl_standing *ftl_summary_standing(const ftl_summary *summary, size_t i);
/** @return score of a model (its place) on a set relative to the baseline's; NaN where it has none. */
FTL_API double ftl_summary_relative(const ftl_summary *summary, ftl_metric metric, size_t set, size_t model);
/** @return share of the sets that both have on which model a beats model b, ties half. */
FTL_API double ftl_summary_wins(const ftl_summary *summary, ftl_metric metric, size_t a, size_t b);
/**
 * @return two-sided p value of Wilcoxon's signed-rank test that models a and b are equally good over the sets that both
 *         have, on the logarithm of their scores' ratio: exact up to 25 sets without ties, else the normal
 *         approximation with continuity and tie corrections; NaN below 2 sets that differ.
 */
FTL_API double ftl_summary_p_value(const ftl_summary *summary, ftl_metric metric, size_t a, size_t b);
/**
 * @return the critical difference of Nemenyi's test at 5 % (Demsar 2006, section 3.2.2): average ranks of models that have
 *         all sets differ significantly if they lie further apart; NaN below 2 such models.
 */
FTL_API double ftl_summary_critical_difference(const ftl_summary *summary);
FTL_API void ftl_summary_free(ftl_summary *summary);

/** Tables of a summary. */
typedef enum ftl_summary_table {
    FTL_TABLE_STANDINGS, /**< a row a model */
    FTL_TABLE_SETS,      /**< a row a data set: WQL and MASE of every model, absolute */
    FTL_TABLE_PAIRS      /**< a row a pair of models: wins and p values */
} ftl_summary_table;
/** A table as CSV, or as Markdown with rounded numbers. ftl_text_free(). */
FTL_API ftl_status ftl_summary_text(const ftl_summary *summary, ftl_summary_table table, bool markdown, char **out,
                                    ftl_error *err);

#ifdef __cplusplus
}
#endif
#endif
