/* http_date.c - reads dates of HTTP: RFC 9110 section 5.6.7.
 *
 *     Sun, 06 Nov 1994 08:49:37 GMT        the form in use today
 *     Sunday, 06-Nov-94 08:49:37 GMT       RFC 850
 *     Sun Nov  6 08:49:37 1994             asctime
 *
 * strptime would depend on the locale. The name of the day is not compared with the date. */
#include "http_rules.h"

#include <string.h>

struct date {
    int year, month, day, hour, minute, second;    /* month and day from 1 */
};

/* Take `text`, or a number of `digits` digits, from `*at`. */
static bool take_text(const char **at, const char *text)
{
    const size_t size = strlen(text);
    if (strncmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

static bool take_number(const char **at, int digits, int *number)
{
    *number = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        *number = *number * 10 + (**at - '0');
    }
    return true;
}

static bool take_month(const char **at, int *month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (*month = 1; *month <= 12; ++*month)
        if (strncmp(*at, names + 3 * (*month - 1), 3) == 0) {
            *at += 3;
            return true;
        }
    return false;
}

static bool take_time(const char **at, struct date *date)
{
    return take_number(at, 2, &date->hour) && take_text(at, ":") && take_number(at, 2, &date->minute) &&
           take_text(at, ":") && take_number(at, 2, &date->second);
}

static bool take_fixed(const char *at, struct date *date)
{
    return take_text(&at, ", ") && take_number(&at, 2, &date->day) && take_text(&at, " ") &&
           take_month(&at, &date->month) && take_text(&at, " ") && take_number(&at, 4, &date->year) &&
           take_text(&at, " ") && take_time(&at, date) && take_text(&at, " GMT") && *at == '\0';
}

/* A year of two digits is in the century that brings it nearest. For a cache this can be fixed: 1970 to 2069. */
static bool take_rfc850(const char *at, struct date *date)
{
    if (!(take_text(&at, ", ") && take_number(&at, 2, &date->day) && take_text(&at, "-") &&
          take_month(&at, &date->month) && take_text(&at, "-") && take_number(&at, 2, &date->year) &&
          take_text(&at, " ") && take_time(&at, date) && take_text(&at, " GMT") && *at == '\0'))
        return false;
    date->year += date->year < 70 ? 2000 : 1900;
    return true;
}

static bool take_asctime(const char *at, struct date *date)
{
    if (!(take_text(&at, " ") && take_month(&at, &date->month) && take_text(&at, " ")))
        return false;
    const int digits = take_text(&at, " ") ? 1 : 2;    /* a day of one digit has a space before it */
    return take_number(&at, digits, &date->day) && take_text(&at, " ") && take_time(&at, date) &&
           take_text(&at, " ") && take_number(&at, 4, &date->year) && *at == '\0';
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool is_date(const struct date *date)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const int last = days[date->month - 1] + (date->month == 2 && is_leap(date->year));
    return date->year >= 1 && date->day >= 1 && date->day <= last && date->hour < 24 && date->minute < 60 &&
           date->second <= 60;
}

/* Years are counted from March, so that a leap day is the last of its year. */
static int64_t days_since_1970(const struct date *date)
{
    const int64_t year = date->year - (date->month <= 2);
    const int64_t month = (date->month + 9) % 12;
    return 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + date->day - 1 - 719468;
}

bool cache_http_read_date(const char *text, int64_t *seconds)
{
    const char *at = text + strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    struct date date;
    if (at == text || !(take_fixed(at, &date) || take_rfc850(at, &date) || take_asctime(at, &date)) || !is_date(&date))
        return false;
    *seconds = days_since_1970(&date) * 86400 + date.hour * 3600 + date.minute * 60 + date.second;
    return true;
}
