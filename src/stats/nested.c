#include "stats/nested.h"

#include "base/alloc.h"
#include "base/error.h"
#include "stats/stats.h"

#include <string.h>

static int rank(const ftl_forecaster *f)
{
    return f == &ensemble_forecaster ? 2 : f == &mstl_forecaster || f == &stl_forecaster ? 1 : 0;
}

static ftl_status check_rank(const ftl_forecaster *host, const ftl_forecaster *f, ftl_status code, ftl_error *err)
{
    if (rank(f) < rank(host)) return FTL_OK;
    return fi_fail(err, code, "%s cannot be made of %s; choose a simpler model", host->name, f->name);
}

ftl_status fi_nested_config(const ftl_forecaster *host, const char *spec, ftl_config **out, ftl_error *err)
{
    ftl_status st = ftl_config_new(spec, out, err);
    if (st) return st;
    st = check_rank(host, ftl_config_forecaster(*out), FTL_EINVAL, err);
    if (st) {
        ftl_config_free(*out);
        *out = NULL;
    }
    return st;
}

/* Text that the library made, as JSON; frees it. */
static ftl_status parse_own(char *text, const char *name, json_t **out, ftl_error *err)
{
    ftl_status st = fi_json_parse(text, strlen(text), name, out, err);
    ftl_text_free(text);
    return st;
}

ftl_status fi_nested_save(const ftl_model *model, json_t **out, ftl_error *err)
{
    char *text;
    *out = NULL;
    ftl_status st = ftl_model_save_text(model, &text, err);
    return st ? st : parse_own(text, "a part of the model", out, err);
}

ftl_status fi_nested_explain(const ftl_model *model, json_t **out, ftl_error *err)
{
    char *text;
    *out = NULL;
    ftl_status st = ftl_model_explain(model, &text, err);
    return st ? st : parse_own(text, "a part of the explanation", out, err);
}

/* The name is looked at before anything is loaded: a file that nests deeply costs no stack. */
ftl_status fi_nested_load(const ftl_forecaster *host, const json_t *object, ftl_model **out, ftl_error *err)
{
    const json_t *own = json_object_get(object, "foretell");
    const char *name;
    fi_buf text = {0};
    *out = NULL;
    if (!own) return fi_fail(err, FTL_EDATA, "a model within that of %s is not a saved model", host->name);
    ftl_status st = fi_json_get_text(own, "model", &name, err);
    const ftl_forecaster *f = st ? NULL : ftl_forecaster_find(name);
    if (f) st = check_rank(host, f, FTL_EDATA, err);
    if (st) return st;
    fi_json_write(object, &text);
    st = text.failed ? fi_fail_memory(err) : ftl_model_load_text(text.data, text.size, host->name, out, err);
    fi_buf_release(&text);
    return st;
}
