/* view.c - whole pages. */
#include "handle.h"
