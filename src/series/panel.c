#include "series/panel.h"

#include "base/alloc.h"
#include "series/table.h"

#include <string.h>

size_t ftl_panel_n_series(const ftl_panel *panel)
{
    return panel->n_series;
}

const ftl_series *ftl_panel_series(const ftl_panel *panel, size_t i)
{
    return i < panel->n_series ? &panel->series[i] : NULL;
}

const ftl_series *ftl_panel_find(const ftl_panel *panel, const char *id)
{
    size_t i = fi_ids_find(&panel->ids, id, strlen(id));
    return i == FI_NO_ID ? NULL : &panel->series[i];
}

bool ftl_panel_has_ids(const ftl_panel *panel)
{
    return panel->has_ids;
}

const char *ftl_panel_ignored(const ftl_panel *panel)
{
    return panel->ignored ? panel->ignored : "";
}

void ftl_panel_free(ftl_panel *panel)
{
    if (!panel) return;
    fi_table_release(&panel->table);
    fi_ids_release(&panel->ids);
    fi_free(panel->series);
    fi_free(panel->ignored);
    fi_free(panel);
}
