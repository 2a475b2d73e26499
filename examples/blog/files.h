/* files.h - the stylesheet, the icon, the scripts, robots.txt. */
#ifndef FILES_H
#define FILES_H

#include "visit.h"

cache_handler_fn style_sheet, icon, robots, site_script, admin_script, lab_script, chart_script;

#endif
