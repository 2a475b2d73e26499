/* main.c - the program libcache URL COMMAND …: reads the arguments and defines the exit statuses. */
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct command {
    const char *name;
    tool_command_fn *run;
    int least, most;                   /* operands */
    bool opens_itself;
    const char *operands, *help;
};

static const struct command commands[] = {
    { "get", tool_get, 1, 1, false, "KEY", "print the value; on a terminal also age, time to live and tags" },
    { "set", tool_set, 1, 2, false, "KEY [VALUE]", "store the value, or standard input" },
    { "add", tool_add, 1, 2, false, "KEY [VALUE]", "store it only if the key is not there (else exit status 1)" },
    { "delete", tool_delete, 1, TOOL_MAX_OPERANDS, false, "KEY...", "delete keys (exit status 1: one was not there)" },
    { "inc", tool_inc, 1, 2, false, "KEY [NUMBER]", "add to a counter, and print the sum" },
    { "touch", tool_touch, 1, 1, false, "KEY", "give the value a new time to live" },
    { "ttl", tool_ttl, 1, 1, false, "KEY", "print how many seconds the value is still shown" },
    { "keys", tool_keys, 0, 0, false, "", "list the keys, step by step" },
    { "stats", tool_stats, 0, 0, false, "", "print what the store knows of itself" },
    { "clear", tool_clear, 0, 0, false, "", "delete every key with the URL's prefix" },
    { "copy", tool_copy, 1, 1, false, "URL", "copy entries to another store, with the times they have left" },
    { "bench", tool_bench, 0, 0, false, "", "measure set and get from here" },
    { "doctor", tool_doctor, 0, 0, true, "", "try each promise of the store, and say what is wrong" },
};

static const struct option options[] = {
    { "json", no_argument, NULL, 'j' },          { "raw", no_argument, NULL, 'r' },
    { "verbose", no_argument, NULL, 'v' },       { "yes", no_argument, NULL, 'y' },
    { "ttl", required_argument, NULL, 't' },     { "pattern", required_argument, NULL, 'p' },
    { "count", required_argument, NULL, 'c' },   { "size", required_argument, NULL, 's' },
    { "help", no_argument, NULL, 'h' },          { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

/* ---- what is said ---------------------------------------------------------------------------------------------- */

int tool_usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("libcache: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputs("\n", stderr);
    va_end(arguments);
    return TOOL_USAGE;
}

int tool_fail(const char *what, cache_status status)
{
    const char *words = cache_last_error();
    const bool has_words = words[0] != '\0' && status != CACHE_ERR_NOMEM;
    (void)fprintf(stderr, "libcache: %s: %s\n", what, has_words ? words : cache_strerror(status));
    return status == CACHE_ERR_CONFIG || status == CACHE_ERR_INVALID ? TOOL_USAGE : TOOL_FAILED;
}

static int help(void)
{
    (void)puts("usage: libcache URL COMMAND [OPERAND...] [OPTION...]\n\n"
               "The URL is that of the program whose cache it is, such as file:///var/cache/app?prefix=shop:\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        (void)printf("  %-7s %-12s %s\n", commands[i].name, commands[i].operands, commands[i].help);
    (void)puts("\n  --json             answer in JSON\n"
               "  --raw              get: all bytes as they are stored, also those that are past their time\n"
               "  --ttl SECONDS      set, add, touch: time to live, or 'forever'; else the URL's default_ttl\n"
               "  --pattern PATTERN  keys, copy: only keys that match, as a shell's file names do: 'user:*'\n"
               "  --count N          bench: how often (10000)\n"
               "  --size BYTES       bench: of a value (100); doctor: of your largest value\n"
               "  --yes              clear: do not ask\n"
               "  --verbose          get: age, time to live and tags on standard error\n"
               "\nExit status: 0 found or done; 1 not there; 2 wrong arguments or URL; 3 the store failed.");
    return TOOL_FOUND;
}

/* ---- arguments ------------------------------------------------------------------------------------------------- */

static bool read_number(const char *text, double least, double most, double *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0' && *out >= least && *out <= most;
}

/* Returns 0, or an exit status. */
static int read_option(struct tool *tool, int letter, const char *value)
{
    double number = 0;
    switch (letter) {
    case 'j':
        tool->json = true;
        return 0;
    case 'r':
        tool->raw = true;
        return 0;
    case 'v':
        tool->verbose = true;
        return 0;
    case 'y':
        tool->yes = true;
        return 0;
    case 'p':
        tool->pattern = value;
        return 0;
    case 't':
        if (strcmp(value, "forever") == 0)
            tool->ttl = CACHE_TTL_FOREVER;
        else if (!read_number(value, 0.001, 1e9, &tool->ttl))
            return tool_usage("--ttl: seconds above 0, or 'forever', not '%s'", value);
        return 0;
    case 'c':
        if (!read_number(value, 1, 1e7, &number) || number != floor(number))
            return tool_usage("--count: a number from 1 to 10000000, not '%s'", value);
        tool->count = (long)number;
        return 0;
    case 's':
        if (!read_number(value, 1, 1073741824, &number) || number != floor(number))
            return tool_usage("--size: a number of bytes from 1 to 1073741824, not '%s'", value);
        tool->size = (size_t)number;
        return 0;
    default:    /* getopt_long has printed what is wrong */
        return TOOL_USAGE;
    }
}

static bool is_negative_number(const char *text)
{
    return text[0] == '-' && text[1] != '\0' && text[1 + strspn(text + 1, "0123456789")] == '\0';
}

/* Read the arguments. Options may be anywhere, and -5 is an operand. `words` receives the others: URL, command,
 * operands. Returns 0, or an exit status; or -1 if there is nothing more to do. */
static int read_arguments(int argc, char *argv[], struct tool *tool, const char *words[], int *n)
{
    bool only_words = false;
    for (*n = 0; optind < argc;) {
        const int before = optind;
        const int letter = only_words || is_negative_number(argv[optind])
                               ? -1 : getopt_long(argc, argv, "+jrvyt:p:c:s:hV", options, NULL);
        if (letter == 'h' || letter == 'V') {
            if (letter == 'V')
                (void)printf("libcache %s\n", CACHE_VERSION);
            else
                (void)help();
            return -1;
        }
        if (letter == -1) {
            only_words = only_words || optind > before;    /* "--" */
            if (optind < argc && *n == TOOL_MAX_OPERANDS + 2)
                return tool_usage("more than %d operands", TOOL_MAX_OPERANDS);
            if (optind < argc)
                words[(*n)++] = argv[optind++];
            continue;
        }
        const int status = read_option(tool, letter, optarg);
        if (status != 0)
            return status;
    }
    return 0;
}

static int run(const struct command *command, struct tool *tool)
{
    if (command->opens_itself)
        return command->run(tool);
    cache_status status = cache_open(tool->url, &tool->cache);
    if (status < 0)
        return tool_fail("the URL", status);
    const int exit_status = command->run(tool);
    cache_close(tool->cache);
    return exit_status;
}

int main(int argc, char *argv[])
{
    struct tool tool = { .ttl = CACHE_TTL_DEFAULT, .is_terminal = isatty(STDOUT_FILENO) != 0 };
    const char *words[TOOL_MAX_OPERANDS + 2];
    int n = 0;
    int status = read_arguments(argc, argv, &tool, words, &n);
    if (status > 0)
        return status;
    if (status == 0 && n < 2)
        return tool_usage("usage: libcache URL COMMAND [OPERAND...] [OPTION...]; libcache --help says more");
    const struct command *command = NULL;
    for (size_t i = 0; status == 0 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(words[1], commands[i].name) == 0)
            command = &commands[i];
    if (status == 0 && command == NULL)
        return tool_usage("there is no command '%s'; libcache --help lists them", words[1]);
    if (status == 0 && (n - 2 < command->least || n - 2 > command->most))
        return tool_usage("usage: libcache URL %s %s", command->name, command->operands);
    if (status == 0) {
        tool.url = words[0];
        tool.n_operands = n - 2;
        memcpy(tool.operands, words + 2, (size_t)tool.n_operands * sizeof words[0]);
        status = run(command, &tool);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fprintf(stderr, "libcache: standard output: %s\n", strerror(errno));
        return TOOL_FAILED;
    }
    return status < 0 ? TOOL_FOUND : status;
}
