/** @file foretell.h  The whole public interface. */
#ifndef FORETELL_FORETELL_H
#define FORETELL_FORETELL_H

#include <foretell/base.h>
#include <foretell/bench.h>
#include <foretell/calendar.h>
#include <foretell/chronos.h>
#include <foretell/describe.h>
#include <foretell/evaluate.h>
#include <foretell/forecast.h>
#include <foretell/forecaster.h>
#include <foretell/hub.h>
#include <foretell/plot.h>
#include <foretell/program.h>
#include <foretell/prophet.h>
#include <foretell/series.h>

#endif
