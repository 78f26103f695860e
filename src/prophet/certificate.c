/* The certificate of a fit as members of a JSON object: one table for what is told of a fit and what is saved with it. */
#include "prophet/prophet.h"

#include <math.h>
#include <string.h>

typedef enum field_type { REAL, COUNT, FLAG, TEXT } field_type;

#define FIELD(key, type, member)                                                                                       \
    {                                                                                                                  \
        key, type, offsetof(prophet_certificate, member)                                                               \
    }
static const struct {
    const char *key;
    field_type type;
    size_t offset;
} fields[] = {FIELD("log_posterior", REAL, log_posterior),
              FIELD("exact_log_posterior", REAL, exact_log_posterior),
              FIELD("stan_log_posterior", REAL, stan_log_posterior),
              FIELD("kkt_residual", REAL, kkt_residual),
              FIELD("duality_gap", REAL, duality_gap),
              FIELD("convex", FLAG, convex),
              FIELD("converged", FLAG, converged),
              FIELD("degenerate", FLAG, degenerate),
              FIELD("barrier_sigma", REAL, barrier_sigma),
              FIELD("condition", REAL, condition),
              FIELD("modes", COUNT, n_modes),
              FIELD("active_changepoints", COUNT, n_active),
              FIELD("iterations", COUNT, iterations),
              FIELD("factorisations", COUNT, factorisations),
              FIELD("stop", TEXT, stop)};
enum { N_FIELDS = sizeof fields / sizeof *fields };

prophet_certificate prophet_certificate_none(void)
{
    prophet_certificate none;
    prophet_certificate_get(NULL, &none);
    return none;
}

int prophet_certificate_put(json_t *to, const prophet_certificate *c)
{
    int bad = 0;
    for (size_t i = 0; i < N_FIELDS; i++) {
        const void *at = (const char *)c + fields[i].offset;
        json_t *value = NULL;
        switch (fields[i].type) {
        case REAL: value = fi_json_real(*(const double *)at); break;
        case COUNT: value = json_integer((json_int_t) * (const size_t *)at); break;
        case FLAG: value = json_boolean(*(const bool *)at); break;
        case TEXT: value = json_string(at); break;
        }
        bad |= json_object_set_new(to, fields[i].key, value);
    }
    return bad;
}

void prophet_certificate_get(const json_t *from, prophet_certificate *c)
{
    *c = (prophet_certificate){0};
    for (size_t i = 0; i < N_FIELDS; i++) {
        void *at = (char *)c + fields[i].offset;
        const json_t *value = json_object_get(from, fields[i].key);
        json_int_t count = json_integer_value(value);
        switch (fields[i].type) {
        case REAL: *(double *)at = json_is_number(value) ? json_number_value(value) : NAN; break;
        case COUNT: *(size_t *)at = count > 0 ? (size_t)count : 0; break;
        case FLAG: *(bool *)at = json_is_true(value); break;
        case TEXT:
            if (json_string_length(value) < sizeof c->stop)
                memcpy(at, json_is_string(value) ? json_string_value(value) : "", json_string_length(value) + 1);
            break;
        }
    }
}
