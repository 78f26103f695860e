/* Types of numbers: what weight files hold, and what products compute in. Values inside graphs are float (and int32 ids). */
#ifndef FI_TENSOR_DTYPE_H
#define FI_TENSOR_DTYPE_H

#include <foretell/base.h>

typedef enum fi_dtype { FI_F32, FI_F64, FI_F16, FI_BF16, FI_I64, FI_I32, FI_I8, FI_U8, FI_BOOL, FI_N_DTYPES } fi_dtype;

enum { FI_MAX_DIMS = 4 };

size_t fi_dtype_size(fi_dtype type);
/* "F32", "BF16" ...: safetensors' names. */
const char *fi_dtype_name(fi_dtype type);

/* "[2, 3]"; returns text. */
enum { FI_SHAPE_TEXT = 192 }; /* room for 8 dimensions */
const char *fi_shape_text(int n_dims, const size_t *shape, char text[FI_SHAPE_TEXT]);

/* n numbers of any type as float: exact for F16 and BF16, rounded to nearest for F64 and wide integers. src may be unaligned. */
void fi_convert_to_f32(fi_dtype type, const void *src, float *dst, size_t n);
/* Round to nearest even. type: FI_F32, FI_F16 or FI_BF16. */
void fi_convert_from_f32(fi_dtype type, const float *src, void *dst, size_t n);

#endif
