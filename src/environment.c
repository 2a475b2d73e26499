/* environment.c - the handle that the environment describes. */
#include "handle.h"
