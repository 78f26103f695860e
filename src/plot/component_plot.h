/* The component plot, over plain structs. */
#ifndef FI_PLOT_COMPONENT_PLOT_H
#define FI_PLOT_COMPONENT_PLOT_H

#include <foretell/plot.h>

/*
 * Draws the panels that Prophet draws: trend, holidays, the profiles (weekly, yearly, others by name), extra regressors.
 * A forecast that is not Prophet's (no additive_terms or multiplicative_terms) shows all its components in their order,
 * then the profiles.
 */
ftl_status fi_plot_panels(const ftl_forecast *forecast, ftl_profile *const *profiles, size_t n_profiles,
                          const ftl_plot_style *style, ftl_plot_format format, const char *path, ftl_error *err);

#endif
