/* tags.c - the tags of a post, as they are typed. */
#include "tags.h"

#include "utf8.h"

#include <stdbool.h>
#include <string.h>

static bool is_tag_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c >= 0x80;
}

const char *tidy_tags(const char *text, char tags[TAGS_TEXT_MAX + 1])
{
    size_t n = 0, size = 0;
    tags[0] = '\0';
    while (text != NULL && *(text += strspn(text, " ,#\t\r\n")) != '\0') {
        const size_t word = strcspn(text, " ,\t\r\n");
        if (word > TAG_MAX || ++n > POST_TAGS_MAX)
            return "A post has at most 5 tags, of 30 letters each.";
        if (size > 0)
            tags[size++] = ' ';
        for (size_t i = 0; i < word; i++) {
            const char c = text[i];
            tags[size] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
            if (!is_tag_letter((unsigned char)tags[size++]))
                return "A tag is made of letters, digits and hyphens.";
        }
        tags[size] = '\0';
        text += word;
    }
    return is_plain_text(tags) ? NULL : "A tag has characters in it that cannot be shown.";
}
