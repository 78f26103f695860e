#include "folder.h"

#include "base/alloc.h"
#include "tensor/weights.h"

#include <foretell/foretell.h>

#include <sys/stat.h>

static ftl_error err;

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

/* A directory with a config and weights. */
static const char *make_model(const char *name)
{
    char file[300];
    const char *path = inside(name);
    const fi_to_store tensor = {"w", FI_F32, 1, {2}, (const float[]){1, 2}};
    CHECK(!mkdir(path, 0777));
    snprintf(file, sizeof file, "%s/config.json", path);
    write_text(file, "{}");
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    CHECK_INT(fi_weights_write(file, &tensor, 1, NULL, 0, &err), FTL_OK);
    return path;
}

static void check_resolved(const char *store, const char *name, const char *expected)
{
    char *found = NULL;
    if (ftl_hub_resolve(store, name, &found, &err)) fail_msg("%s", err.message);
    CHECK_TEXT(found, expected);
    ftl_text_free(found);
}

static void check_unresolved(const char *store, const char *name, ftl_status status, const char *why)
{
    char *found = (char *)1;
    CHECK_INT(ftl_hub_resolve(store, name, &found, &err), status);
    CHECK(found == NULL);
    CHECK_CONTAINS(err.message, why);
}

TEST(an_added_model_is_found_listed_and_removed)
{
    const char *model = make_model("model"), *store = inside("store/deep");
    ftl_hub_model *models;
    size_t n;
    CHECK_INT(ftl_hub_list(store, &models, &n, &err), FTL_OK);
    CHECK(n == 0 && models == NULL);
    CHECK_INT(ftl_hub_add(store, "mine-1.5", inside("store/../model"), &err), FTL_EIO);
    CHECK_INT(ftl_hub_add(store, "mine-1.5", inside("./model/."), &err), FTL_OK);
    CHECK_INT(ftl_hub_add(store, "Another_1", model, &err), FTL_OK);
    check_resolved(store, "mine-1.5", model);
    CHECK_INT(ftl_hub_list(store, &models, &n, &err), FTL_OK);
    CHECK_INT(n, 2);
    CHECK_TEXT(models[0].name, "Another_1");
    CHECK_TEXT(models[1].name, "mine-1.5");
    CHECK_TEXT(models[1].directory, model);
    CHECK(!models[1].downloaded);
    ftl_hub_models_free(models, n);
    CHECK_INT(ftl_hub_add(store, "mine-1.5", model, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "the name 'mine-1.5' is taken by");
    CHECK_INT(ftl_hub_remove(store, "mine-1.5", &err), FTL_OK);
    CHECK_INT(ftl_hub_remove(store, "mine-1.5", &err), FTL_EINVAL);
    check_unresolved(store, "mine-1.5", FTL_EINVAL, "models add NAME DIRECTORY");
    check_resolved(store, model, model);
    CHECK_INT(ftl_hub_remove(store, "Another_1", &err), FTL_OK);
    ftl_hub_models_free(NULL, 0);
}

TEST(names_and_paths_are_told_apart)
{
    const char *store = inside("names"), *model = make_model("named");
    check_resolved(NULL, model, model);
    check_resolved(store, ".", ".");
    check_unresolved(store, inside("nothing"), FTL_EIO, "nothing: no such directory");
    check_unresolved(NULL, "chronos-2", FTL_EINVAL, "foretell models download chronos-2");
    check_unresolved(store, "chronos-bolt-smal", FTL_EINVAL, "did you mean chronos-bolt-small?");
    check_unresolved(store, "", FTL_EINVAL, "model ''");
    CHECK_INT(chdir(folder), 0);
    check_resolved(store, "named", "named"); /* a directory beside us, while the store has none of this name */
    CHECK_INT(ftl_hub_add(store, "named", model, &err), FTL_OK);
    check_resolved(store, "named", model);
    static const char *const bad[] = {"",   ".",   "..",     ".hidden",  "a/b", "../x",
                                      "-a", "a b", "x.json", "\xC3\xA9", "a\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(ftl_hub_add(store, bad[i], model, &err), FTL_EINVAL);
        CHECK_CONTAINS(err.message, "is no name for a model");
        CHECK_INT(ftl_hub_remove(store, bad[i], &err), FTL_EINVAL);
    }
    char longest[66];
    memset(longest, 'a', 65);
    longest[65] = '\0';
    CHECK_INT(ftl_hub_add(store, longest, model, &err), FTL_EINVAL);
    longest[64] = '\0';
    CHECK_INT(ftl_hub_add(store, longest, model, &err), FTL_OK);
    check_resolved(store, longest, model);
}

TEST(what_is_no_model_is_not_added)
{
    const char *store = inside("picky"), *bare = inside("bare");
    CHECK(!mkdir(bare, 0777));
    CHECK_INT(ftl_hub_add(store, "a", inside("nowhere"), &err), FTL_EIO);
    CHECK_INT(ftl_hub_add(store, "a", bare, &err), FTL_EIO);
    CHECK_CONTAINS(err.message, "config.json");
    write_text(inside("bare/config.json"), "[]");
    CHECK_INT(ftl_hub_add(store, "a", bare, &err), FTL_EDATA);
    write_text(inside("bare/config.json"), "{}");
    CHECK_INT(ftl_hub_add(store, "a", bare, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "no weights here");
    write_text(inside("bare/model.safetensors"), "something else");
    CHECK_INT(ftl_hub_add(store, "a", bare, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "model.safetensors");
    ftl_hub_model *models;
    size_t n;
    CHECK_INT(ftl_hub_list(store, &models, &n, &err), FTL_OK);
    CHECK_INT(n, 0);
}

TEST(an_adapter_can_be_added)
{
    const fi_to_store tensor = {"base_model.model.w.lora_A.weight", FI_F32, 2, {1, 2}, (const float[]){1, 2}};
    CHECK(!mkdir(inside("adapter"), 0777));
    write_text(inside("adapter/adapter_config.json"), "{\"base_model_name_or_path\":\"amazon/chronos-2\"}");
    CHECK_INT(ftl_hub_add(inside("store"), "tuned", inside("adapter"), &err), FTL_EIO);
    CHECK_INT(fi_weights_write(inside("adapter/adapter_model.safetensors"), &tensor, 1, NULL, 0, &err), FTL_OK);
    CHECK_INT(ftl_hub_add(inside("store"), "tuned", inside("adapter"), &err), FTL_OK);
    check_resolved(inside("store"), "tuned", inside("adapter"));
    CHECK(!rename(inside("adapter/adapter_model.safetensors"), inside("adapter/adapter_model.bin"))); /* by content */
    CHECK_INT(ftl_hub_add(inside("store"), "tuned-2", inside("adapter"), &err), FTL_OK);
}

TEST(damaged_entries_are_named_and_can_be_removed)
{
    const char *store = inside("damaged");
    ftl_hub_model *models;
    size_t n;
    CHECK(!mkdir(store, 0777));
    static const char *const bad[] = {"", "{", "[]", "{}", "{\"directory\":7}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text(inside("damaged/x.json"), bad[i]);
        check_unresolved(store, "x", FTL_EDATA, "damaged/x.json");
        CHECK_INT(ftl_hub_list(store, &models, &n, &err), FTL_EDATA);
        CHECK(models == NULL && n == 0);
    }
    CHECK_INT(ftl_hub_remove(store, "x", &err), FTL_OK);
    write_text(inside("damaged/x.json"), "{\"directory\":\"/nowhere/at/all\"}");
    check_unresolved(store, "x", FTL_EIO, "its directory /nowhere/at/all is gone");
    write_text(inside("file"), "");
    CHECK_INT(ftl_hub_list(inside("file"), &models, &n, &err), FTL_EIO);
    CHECK_INT(ftl_hub_add(inside("file"), "x", inside("model"), &err), FTL_EIO);
}

TEST(a_downloaded_model_goes_with_its_files_and_no_others)
{
    const char *store = inside("down");
    ftl_hub_model *models;
    size_t n;
    CHECK(!mkdir(store, 0777));
    make_model("down/fetched");
    check_unresolved(store, "fetched", FTL_EINVAL, "neither"); /* not without its receipt */
    write_text(inside("down/fetched/download.json"), "{\"files\":{\"config.json\":{},\"model.safetensors\":{},"
                                                     "\"../../file\":{},\"/etc/none\":{},\"gone\":{}}}");
    write_text(inside("file"), "stays");
    check_resolved(store, "fetched", inside("down/fetched"));
    CHECK_INT(ftl_hub_list(store, &models, &n, &err), FTL_OK);
    CHECK(n == 1 && models[0].downloaded);
    ftl_hub_models_free(models, n);
    CHECK_INT(ftl_hub_add(store, "fetched", inside("model"), &err), FTL_EINVAL);
    CHECK_INT(ftl_hub_remove(store, "fetched", &err), FTL_OK);
    CHECK(access(inside("down/fetched"), F_OK) && !access(inside("file"), F_OK));
}

TEST(adding_survives_lack_of_memory)
{
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 2000; n++) {
        ftl_hub_model *models = NULL;
        char *found = NULL;
        size_t count = 0;
        fi_alloc_fail_after(n);
        st = ftl_hub_add(inside("scarce"), "m", inside("model"), &err);
        if (!st) st = ftl_hub_list(inside("scarce"), &models, &count, &err);
        if (!st) st = ftl_hub_resolve(inside("scarce"), "m", &found, &err);
        fi_alloc_fail_after(-1);
        ftl_hub_models_free(models, count);
        ftl_text_free(found);
        if (st) ftl_hub_remove(inside("scarce"), "m", NULL);
    }
    CHECK_INT(st, FTL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_added_model_is_found_listed_and_removed),
        cmocka_unit_test(names_and_paths_are_told_apart),
        cmocka_unit_test(what_is_no_model_is_not_added),
        cmocka_unit_test(an_adapter_can_be_added),
        cmocka_unit_test(damaged_entries_are_named_and_can_be_removed),
        cmocka_unit_test(a_downloaded_model_goes_with_its_files_and_no_others),
        cmocka_unit_test(adding_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
