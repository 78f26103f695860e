/* What the files of this room share: names as JSON, seeds, and the frequency of a series. */
#ifndef FI_FORECAST_DRIVER_H
#define FI_FORECAST_DRIVER_H

#include "forecast/forecaster.h"

/* A JSON string of any text: bytes that are not UTF-8 become U+FFFD. NULL only without memory. */
json_t *fi_json_name(const char *text);

/* The seed of one series of a run: the run's own where the id is "", else mixed with a hash of the id. */
uint64_t fi_series_seed(uint64_t seed, const char *id);

/*
 * Whether `freq` is a believable step of these ascending times: the grid between the first and the last has at most
 * 100 times as many points as there are rows. Times measured at any second of some years pass no such test.
 */
bool fi_freq_fits(const ftl_freq *freq, const ftl_time *times, size_t n);

#endif
