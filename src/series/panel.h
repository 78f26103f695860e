/* What a panel is made of: one table, a run of its rows for each series. */
#ifndef FI_SERIES_PANEL_H
#define FI_SERIES_PANEL_H

#include "series/ids.h"
#include "series/series.h"

struct ftl_panel {
    fi_table table;
    fi_ids ids;
    ftl_series *series; /* [n_series] */
    size_t n_series;
    bool has_ids;
    char *ignored;
};

#endif
