/* The forecaster "chronos", for the registry. */
#ifndef FI_CHRONOS_FORECASTER_H
#define FI_CHRONOS_FORECASTER_H

#include "forecast/forecaster.h"

extern const ftl_forecaster chronos_forecaster;

#endif
