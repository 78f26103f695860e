#include "prophet/prophet.h"
