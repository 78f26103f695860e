/* What the files of this room share. */
#ifndef FI_HUB_HUB_H
#define FI_HUB_HUB_H

#include <foretell/hub.h>

#include "base/buf.h"

/* Written last into a downloaded model: the model is there when this file is. */
#define FI_HUB_RECEIPT "download.json"

/* No path, nothing hidden, nothing that a URL would have to escape. */
bool fi_hub_is_plain(const char *name);
/* FTL_EINVAL unless `name` may name a model. */
ftl_status fi_hub_check_name(const char *name, ftl_error *err);
/* Text by format into *path, which is cleared first. */
ftl_status fi_hub_path(fi_buf *path, ftl_error *err, const char *format, ...) FTL_PRINTF(3, 4);
bool fi_hub_exists(const char *path);
/* Makes a directory and those above it; FTL_EIO. */
ftl_status fi_hub_make_directory(const char *path, ftl_error *err);
/* Is a model in `directory`: a config.json that is an object, and weights that can be opened (or a LoRA adapter)? */
ftl_status fi_hub_check_model(const char *directory, ftl_error *err);
const ftl_hub_checkpoint *fi_hub_find_checkpoint(const char *name); /* NULL: none */
/* FTL_EINVAL: no public checkpoint has this name; those that have one are told. */
ftl_status fi_hub_no_checkpoint(const char *name, ftl_error *err);

#endif
