/* Configurations from text: whatever is accepted is written back as text that means the same. */
#include <foretell/foretell.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *spec = malloc(size + 1), *text = NULL, *again = NULL;
    ftl_config *config = NULL, *copy = NULL;
    ftl_error err;
    if (size) memcpy(spec, data, size);
    spec[size] = '\0';
    if (!ftl_config_new(spec, &config, &err)) {
        if (ftl_config_text(config, &text, &err)) abort();
        if (ftl_config_new(text, &copy, &err)) abort();
        if (ftl_config_text(copy, &again, &err) || strcmp(text, again) != 0) abort();
    }
    ftl_text_free(text);
    ftl_text_free(again);
    ftl_config_free(config);
    ftl_config_free(copy);
    free(spec);
    return 0;
}
