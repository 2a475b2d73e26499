/* files.h - the stylesheet, the icon, the scripts. */
#ifndef FILES_H
#define FILES_H

#include "visit.h"

cache_handler_fn style_sheet, icon, admin_script, chart_script;

#endif
