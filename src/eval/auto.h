/* The forecaster that chooses among others by rolling-origin backtest. */
#ifndef FI_EVAL_AUTO_H
#define FI_EVAL_AUTO_H

#include "forecast/forecaster.h"

extern const ftl_forecaster auto_forecaster;

#endif
