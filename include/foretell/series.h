/**
 * @file series.h
 * Series, panels of series, and reading them from CSV.
 *
 * A series is an id, ascending times, observed values (NaN = missing) and named numeric columns (regressors, cap,
 * floor, conditions). It is immutable once made; forecasters borrow it. Any number of threads may share one.
 */
#ifndef FORETELL_SERIES_H
#define FORETELL_SERIES_H

#include <foretell/calendar.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_series ftl_series;
typedef struct ftl_panel ftl_panel;

/**
 * A series without a calendar: times are 1..n.
 * @param id  copied; may be ""
 * @param y   [n] copied; NaN is missing, infinities are refused
 * @param out new series, to be freed with ftl_series_free(); NULL on failure
 * @return FTL_OK; FTL_EDATA (an infinity); FTL_ENOMEM
 */
FTL_API ftl_status ftl_series_new(const char *id, const double *y, size_t n, ftl_series **out, ftl_error *err);

/**
 * A series with times and columns. Rows are sorted by time, equal times keeping their order.
 * @param ds            [n] copied
 * @param y             [n] copied; NULL for a future frame (all missing)
 * @param column_names  [n_columns] copied
 * @param columns       [n_columns][n] copied; NaN is missing, infinities are refused
 */
FTL_API ftl_status ftl_series_new_full(const char *id, ftl_time_kind kind, const ftl_time *ds, const double *y,
                                       size_t n, const char *const *column_names, const double *const *columns,
                                       size_t n_columns, ftl_series **out, ftl_error *err);
FTL_API void ftl_series_free(ftl_series *series);

FTL_API const char *ftl_series_id(const ftl_series *series);
FTL_API size_t ftl_series_n_obs(const ftl_series *series);
FTL_API ftl_time_kind ftl_series_time_kind(const ftl_series *series);
/** @return [n_obs] ascending times, owned by the series. */
FTL_API const ftl_time *ftl_series_times(const ftl_series *series);
/** @return [n_obs] values, NaN = missing, owned by the series. */
FTL_API const double *ftl_series_values(const ftl_series *series);
FTL_API size_t ftl_series_n_columns(const ftl_series *series);
FTL_API const char *ftl_series_column_name(const ftl_series *series, size_t i);
/** @return [n_obs] values of the i-th column, owned by the series. */
FTL_API const double *ftl_series_column(const ftl_series *series, size_t i);
/** @return [n_obs] values of the column of that name, or NULL. */
FTL_API const double *ftl_series_column_named(const ftl_series *series, const char *name);

/** Columns of text, where the reader was told to keep them (ftl_csv_options.keep_text). */
FTL_API size_t ftl_series_n_text(const ftl_series *series);
FTL_API const char *ftl_series_text_name(const ftl_series *series, size_t i);
/** @return the text of a row of the i-th column of text, owned by the series; NULL where it is missing. */
FTL_API const char *ftl_series_text(const ftl_series *series, size_t i, size_t row);

/** Targets: 1, or more where the reader was told so (ftl_csv_options.more_targets). The first is ftl_series_values(). */
FTL_API size_t ftl_series_n_targets(const ftl_series *series);
FTL_API const char *ftl_series_target_name(const ftl_series *series, size_t i);
/** @return [n_obs] values of the i-th target, NaN = missing, owned by the series. */
FTL_API const double *ftl_series_target(const ftl_series *series, size_t i);

/** Number of series. */
FTL_API size_t ftl_panel_n_series(const ftl_panel *panel);
/** @return the i-th series, owned by the panel, valid as long as it. Series stand in order of first appearance. */
FTL_API const ftl_series *ftl_panel_series(const ftl_panel *panel, size_t i);
/** @return the series of that id, or NULL. */
FTL_API const ftl_series *ftl_panel_find(const ftl_panel *panel, const char *id);
/** @return false if the file had no id column (it then holds one series with id ""). */
FTL_API bool ftl_panel_has_ids(const ftl_panel *panel);
FTL_API void ftl_panel_free(ftl_panel *panel);

/** How a CSV is to be read. Zero-initialise for the defaults. */
typedef struct ftl_csv_options {
    const char *id_column;             /**< NULL: "unique_id" if there is one, else a single series */
    const char *time_column;           /**< NULL: "ds" */
    const char *target_column;         /**< NULL: "y" */
    bool no_target;                    /**< a future frame: the target column may be absent, and is not read */
    const char *null_text;             /**< a further spelling of a missing value; NULL: only the built-in ones */
    const char *const *ignore_columns; /**< [n_ignore] columns to leave out, besides those that are not numeric */
    size_t n_ignore;
    bool keep_text;                  /**< keep columns of text (ftl_series_text()) instead of leaving them out */
    const char *const *more_targets; /**< [n_more_targets] columns of values beside target_column, that belong together
                                          with it (ftl_series_target()); with no_target they are passed over */
    size_t n_more_targets;
} ftl_csv_options;

/**
 * Reads a whole CSV file: a header line, then one row an observation.
 *
 * Accepted: CR, LF and CRLF; a UTF-8 byte order mark; quoted fields; spaces around fields; gzip; "-" for standard
 * input. An empty field, NA, N/A, NaN, nan, null, NULL, None and null_text are missing. Rows of a series may stand
 * anywhere and in any order. True/False/true/false/TRUE/FALSE in a further column are 1 and 0. A further column is
 * numeric if its first non-missing field is; one that is not is left out (ftl_panel_ignored() names it) or, with
 * keep_text, kept as text. A column without a name is left out: it is the row number that pandas writes. Blank lines are
 * passed over. Ids and names are UTF-8; an id is taken as it stands ("NA" is an id). All times of a file are of one kind: a
 * date among dates with times is refused, because what it means is a guess (pandas leaves the time out of all rows or of
 * none). Memory beside the 256 KiB that are read at a time: 16 bytes a row, 8 for each further column that is numeric or
 * kept, the ids, and each different word of a column of text once; for interleaved or unsorted rows up to 8 more.
 *
 * @param path  borrowed
 * @param options  NULL for the defaults
 * @return FTL_OK; FTL_EDATA with "file:line: column 'c': what is wrong; what to do" (unparsable or infinite number,
 *         unparsable date, time zone, mixed kinds of time, missing column, ragged row, missing time or id, duplicate
 *         column, empty file); FTL_EIO; FTL_ENOMEM
 */
FTL_API ftl_status ftl_panel_read_csv(const char *path, const ftl_csv_options *options, ftl_panel **out,
                                      ftl_error *err);
/** As ftl_panel_read_csv(), from memory: text[0, size) (also gzip); `name` stands for the file in messages. */
FTL_API ftl_status ftl_panel_parse_csv(const char *text, size_t size, const char *name, const ftl_csv_options *options,
                                       ftl_panel **out, ftl_error *err);
/** Names of columns that were left out because they are not numeric, blank separated; "" if none. Owned by the panel. */
FTL_API const char *ftl_panel_ignored(const ftl_panel *panel);

/**
 * Reading in batches, for more series than memory holds. The rows of a series must stand together in the file (in any
 * order of time). Two kinds of input are exempt, because they are read whole: up to 64 MiB of text, and those whose first
 * 16 MiB show another order (by date, for instance), which then need memory for all rows. Whether a further column is
 * numeric shows with its first value; until then it is all missing. Where a series turns up again only late, batches may
 * have gone out before that is noticed.
 *
 * Memory: a batch, and 11 to 21 bytes for each id that has gone by. A reader may be used by one thread at a time, any
 * thread; ftl_panel_reader_progress() meanwhile by others too.
 */
typedef struct ftl_panel_reader ftl_panel_reader;
FTL_API ftl_status ftl_panel_reader_open(const char *path, const ftl_csv_options *options, ftl_panel_reader **out,
                                         ftl_error *err);
/**
 * The next batch: whole series, as many as fit into about `max_rows` rows, at least one.
 * @param out  new panel, or NULL at the end (with FTL_OK)
 * @return as ftl_panel_read_csv(); FTL_EDATA also when the rows of a series turn up again after it ended
 */
FTL_API ftl_status ftl_panel_reader_next(ftl_panel_reader *reader, size_t max_rows, ftl_panel **out, ftl_error *err);
/** @return share of the input handed out, 0..1; negative if its size is not known. */
FTL_API double ftl_panel_reader_progress(const ftl_panel_reader *reader);
FTL_API void ftl_panel_reader_close(ftl_panel_reader *reader);

#ifdef __cplusplus
}
#endif
#endif
