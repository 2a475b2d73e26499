/* tool.h - runs the command line tool as a shell does. */
#ifndef TOOL_H
#define TOOL_H

#include "test.h"

#include <cjson/cJSON.h>

#include <sys/wait.h>

/* Returns what the last command printed, as a text. */
static inline char *tool_output(void)
{
    static char output[1 << 20];
    return output;
}

/* Runs a shell command. The test fails unless its status is `expected`. */
static inline void tool_run(int expected, const char *format, ...)
{
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    const size_t size = fread(tool_output(), 1, (1 << 20) - 1, pipe);
    tool_output()[size] = '\0';
    const int status = pclose(pipe);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        fail_msg("%s: status %#x, not %d\n%s", command, (unsigned)status, expected, tool_output());
}

/* Runs the tool, and checks its status and what it prints. Its standard input is empty, and its errors are dropped. */
#define assert_tool(expected, text, ...)                                                                          \
    do {                                                                                                          \
        char assert_tool_[1024];                                                                                  \
        (void)snprintf(assert_tool_, sizeof assert_tool_, __VA_ARGS__);                                           \
        tool_run(expected, TOOL_PATH " %s </dev/null 2>/dev/null", assert_tool_);                                 \
        assert_string_equal(tool_output(), text);                                                                 \
    } while (0)

/* Parses what was printed. The caller deletes the result. */
static inline cJSON *tool_json(void)
{
    cJSON *json = cJSON_Parse(tool_output());
    if (json == NULL)
        fail_msg("no JSON: %.200s", tool_output());
    return json;
}

#endif
