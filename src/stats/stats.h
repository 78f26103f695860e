/* The forecasters of this room. */
#ifndef FI_STATS_STATS_H
#define FI_STATS_STATS_H

#include "forecast/forecaster.h"

extern const ftl_forecaster naive_forecaster; /* "seasonal-naive" */

#endif
