/* files.h - the stylesheet and the scripts. */
#ifndef FILES_H
#define FILES_H

#include "visit.h"

cache_handler_fn style_sheet;

#endif
