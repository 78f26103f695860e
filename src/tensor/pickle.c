#include "tensor/weights_file.h"

#include "base/error.h"

ftl_status fi_pickle_read(fi_weights *weights, const fi_weight_file *file, ftl_error *err)
{
    (void)weights;
    return fi_fail(err, FTL_EDATA, "%s: PyTorch files are not read; convert it to safetensors", file->path);
}
