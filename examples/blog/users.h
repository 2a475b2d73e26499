/* users.h - logging in and out, and each user's own page. */
#ifndef USERS_H
#define USERS_H

#include "visit.h"

cache_handler_fn login_form, login, logout, dashboard_page;

#endif
