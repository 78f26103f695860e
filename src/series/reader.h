/* The batch reader over any input. */
#ifndef FI_SERIES_READER_H
#define FI_SERIES_READER_H

#include "base/file.h"

#include <foretell/series.h>

/* Takes over `input`, also on failure. Inputs of up to whole_size bytes are read whole. */
ftl_status fi_panel_reader_open(fi_stream *input, const char *name, const ftl_csv_options *options, size_t whole_size,
                                ftl_panel_reader **out, ftl_error *err);

#endif
