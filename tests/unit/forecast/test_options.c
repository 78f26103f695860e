/* Option tables: parsing, ranges, suggestions, and text that reads back equal. */
#include "check.h"

#include "base/alloc.h"
#include "base/error.h"
#include "forecast/forecaster.h"

/* A forecaster of this test: one option of every type. */
typedef struct toy_config {
    bool loud;
    int64_t steps;
    double rate;
    int shape;
    char *note;
    char *items[8];
    size_t n_items;
} toy_config;

static ftl_status toy_add(void *config, const char *text, ftl_error *err)
{
    toy_config *c = config;
    if (c->n_items == 8) return fi_fail(err, FTL_EINVAL, "too many items");
    c->items[c->n_items] = fi_strdup(text);
    if (!c->items[c->n_items]) return fi_fail_memory(err);
    c->n_items++;
    return FTL_OK;
}

static ftl_status toy_show(const void *config, size_t index, fi_buf *out, ftl_error *err)
{
    const toy_config *c = config;
    (void)err;
    if (index < c->n_items) fi_buf_text(out, c->items[index]);
    return FTL_OK;
}

static void toy_release(void *config)
{
    toy_config *c = config;
    for (size_t i = 0; i < c->n_items; i++) fi_free(c->items[i]);
}

static ftl_status toy_check(const void *config, ftl_error *err)
{
    const toy_config *c = config;
    return c->loud && c->steps == 13 ? fi_fail(err, FTL_EINVAL, "13 steps cannot be loud") : FTL_OK;
}

static const fi_option toy_options[] = {
    FI_OPTION_FLAG(toy_config, loud, "false", "speaks up"),
    FI_OPTION_COUNT(toy_config, steps, "10", 0, 100, "number of steps"),
    FI_OPTION_REAL(toy_config, rate, "0.5", 1e-300, 1, "rate"),
    FI_OPTION_CHOICE(toy_config, shape, "round", "round|square|flat", "shape"),
    FI_OPTION_TEXT(toy_config, note, "", "TEXT", "a note"),
    FI_OPTION_ITEM("item", "NAME:N", "an item", toy_add, toy_show),
};
static const ftl_forecaster toy = {.name = "toy-model",
                                   .options = toy_options,
                                   .n_options = sizeof toy_options / sizeof *toy_options,
                                   .config_size = sizeof(toy_config),
                                   .check = toy_check,
                                   .release_config = toy_release};
static const ftl_forecaster other = {.name = "other"};
const ftl_forecaster *const fi_forecasters[] = {&toy, &other}; /* instead of those of foretell.c */
const size_t fi_n_forecasters = 2;

static const toy_config *values(const ftl_config *config)
{
    return config->values;
}

static void check_refused(const char *spec, const char *part)
{
    ftl_config *config = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_config_new(spec, &config, &err), FTL_EINVAL);
    CHECK(config == NULL);
    CHECK_CONTAINS(err.message, part);
}

TEST(defaults_come_from_the_table)
{
    ftl_config *config = NULL;
    CHECK_INT(ftl_config_new("toy-model", &config, NULL), FTL_OK);
    const toy_config *c = values(config);
    CHECK(!c->loud && c->steps == 10 && c->rate == 0.5 && c->shape == 0 && c->note == NULL && c->n_items == 0);
    char *text = NULL;
    CHECK_INT(ftl_config_text(config, &text, NULL), FTL_OK);
    CHECK_TEXT(text, "toy-model");
    ftl_text_free(text);
    ftl_config_free(config);
}

TEST(every_type_is_parsed_and_written_back)
{
    static const char spec[] = "TOY_MODEL:loud,steps=7,rate=0.25,shape=SQUARE,note=a\\,b=\\\\c,item=x:1,item=y:2";
    ftl_config *config = NULL, *again = NULL;
    CHECK_INT(ftl_config_new(spec, &config, NULL), FTL_OK);
    const toy_config *c = values(config);
    CHECK(c->loud && c->steps == 7 && c->rate == 0.25 && c->shape == 1 && c->n_items == 2);
    CHECK_TEXT(c->note, "a,b=\\c");
    CHECK_TEXT(c->items[1], "y:2");
    char *text = NULL, *second = NULL;
    CHECK_INT(ftl_config_text(config, &text, NULL), FTL_OK);
    CHECK_TEXT(text, "toy-model:loud=true,steps=7,rate=0.25,shape=square,note=a\\,b=\\\\c,item=x:1,item=y:2");
    CHECK_INT(ftl_config_new(text, &again, NULL), FTL_OK);
    CHECK_INT(ftl_config_text(again, &second, NULL), FTL_OK);
    CHECK_TEXT(second, text);
    ftl_text_free(text);
    ftl_text_free(second);
    ftl_config_free(config);
    ftl_config_free(again);
}

TEST(text_can_be_set_anew_and_emptied)
{
    ftl_config *config = NULL;
    CHECK_INT(ftl_config_new("toy-model:note=one", &config, NULL), FTL_OK);
    CHECK_INT(ftl_config_set(config, "note", "two", NULL), FTL_OK);
    CHECK_TEXT(values(config)->note, "two");
    CHECK_INT(ftl_config_set(config, "note", "", NULL), FTL_OK);
    CHECK(values(config)->note == NULL);
    ftl_config_free(config);
}

TEST(mistakes_are_explained_with_the_nearest_name)
{
    check_refused("toy-modle", "did you mean 'toy-model'?");
    check_refused("zzzzzzzz", "'foretell models' lists them");
    check_refused("toy-model:stpes=3", "did you mean 'steps'?");
    check_refused("toy-model:quux=3", "has no option 'quux'");
    check_refused("toy-model:shape=sqare", "did you mean 'square'?");
    check_refused("toy-model:shape=", "must be one of round|square|flat");
    check_refused("toy-model:steps=101", "at least 0 and at most 100");
    check_refused("toy-model:steps=-1", "at least 0 and at most 100");
    check_refused("toy-model:steps=1.5", "must be a whole number");
    check_refused("toy-model:steps=99999999999999999999", "must be a whole number");
    check_refused("toy-model:rate=0", "must be above 0 and at most 1");
    check_refused("toy-model:rate=nan", "must be a number");
    check_refused("toy-model:rate=inf", "must be a number");
    check_refused("toy-model:rate=1x", "must be a number");
    check_refused("toy-model:loud=perhaps", "must be true or false");
    check_refused("toy-model:steps", "option 'steps' needs a value: steps=N");
    check_refused("toy-model:loud,steps=13", "cannot be loud");
    check_refused("", "there is no model ''");
}

TEST(a_flag_knows_many_words)
{
    static const char *const yes[] = {"true", "YES", "on", "1"}, *const no[] = {"false", "No", "off", "0"};
    ftl_config *config = NULL;
    CHECK_INT(ftl_config_new("toy-model", &config, NULL), FTL_OK);
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(ftl_config_set(config, "loud", yes[i], NULL), FTL_OK);
        CHECK(values(config)->loud);
        CHECK_INT(ftl_config_set(config, "loud", no[i], NULL), FTL_OK);
        CHECK(!values(config)->loud);
    }
    ftl_config_free(config);
}

TEST(memory_may_run_out_anywhere)
{
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 200; n++) {
        ftl_config *config = NULL;
        char *text = NULL;
        fi_alloc_fail_after(n);
        st = ftl_config_new("toy-model:note=abc,item=x,item=y,shape=flat", &config, NULL);
        if (!st) st = ftl_config_text(config, &text, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (text != NULL));
        ftl_text_free(text);
        ftl_config_free(config);
    }
    CHECK_INT(st, FTL_OK);
}

TEST(the_registry_is_walked_by_number_and_name)
{
    CHECK_INT(ftl_forecaster_count(), 2);
    CHECK(ftl_forecaster_at(1) == &other && ftl_forecaster_at(2) == NULL);
    CHECK(ftl_forecaster_find("Toy_Model") == &toy && ftl_forecaster_find("toy") == NULL);
    CHECK_TEXT(ftl_forecaster_option(&toy, 3).choices, "round|square|flat");
    CHECK(ftl_forecaster_option(&toy, 6).name == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_from_the_table),
        cmocka_unit_test(every_type_is_parsed_and_written_back),
        cmocka_unit_test(text_can_be_set_anew_and_emptied),
        cmocka_unit_test(mistakes_are_explained_with_the_nearest_name),
        cmocka_unit_test(a_flag_knows_many_words),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(the_registry_is_walked_by_number_and_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
