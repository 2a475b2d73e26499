/* login.h - logging in and out. */
#ifndef LOGIN_H
#define LOGIN_H

#include "visit.h"

cache_handler_fn login_form, login, logout;

#endif
