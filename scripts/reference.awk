# Read the comments of the public headers. A comment that begins a line documents the declarations after it, up to the
# next empty line. A comment on the line of a declaration documents that declaration.
#   awk -v mode=check -f reference.awk HEADER…            names without a comment; exit status 1 if there are any
#   awk -v mode=names -f reference.awk HEADER…            every public name
#   awk -v mode=man -v out=DIR -v version=V -f …          DIR/NAME.3, one for each function, macro and type
#   awk -v mode=doxygen -f reference.awk HEADER           the header as Doxygen wants it: its filter

function is_private(name) {
    return name ~ /_$/ || name ~ /^CACHE_PP_/ || name ~ /^CACHE_MEMO_/ || name ~ /^LIBCACHE_.*_H$/
}

# The name that a declaration declares; "" if it is none of the public ones.
function name_of(text,    name) {
    gsub(/\/\*[^*]*\*+([^\/*][^*]*\*+)*\//, "", text)
    if (text ~ /^#define/) {
        name = text
        sub(/^#define +/, "", name)
        sub(/[^A-Za-z0-9_].*/, "", name)
    } else if (text ~ /}/) {
        name = text
        sub(/.*} */, "", name)
        sub(/;.*/, "", name)
    } else if (text ~ /\(/) {
        name = text
        sub(/\(.*/, "", name)
        sub(/.*[ *]/, "", name)
    } else {
        name = text
        sub(/;.*/, "", name)
        sub(/.*[ *]/, "", name)
    }
    return name ~ /^(cache_|CACHE_)/ && !is_private(name) ? name : ""
}

# The comment on a section of this header that speaks of the name.
function note_on(name,    i) {
    for (i = n_notes; i > 0; i--)
        if (index(notes[i], name) > 0)
            return notes[i]
    return ""
}

# ---- what is made of a group: its comment, and its declarations ----

function first_sentence(text) {
    gsub(/\n *\* ?/, " ", text)
    sub(/^ *\*? */, "", text)
    gsub(/\n/, " ", text)
    sub(/^\/\* */, "", text)
    sub(/ *\*\/ *$/, "", text)
    sub(/[.:;] .*/, "", text)
    sub(/\.$/, "", text)
    gsub(/`/, "", text)
    if (index(text, "(") > 0 && index(text, ")") == 0)    # it was cut in the brackets
        sub(/ *\(.*/, "", text)
    return text
}

function troff(line) {
    gsub(/\\/, "\\e", line)
    gsub(/-/, "\\-", line)
    gsub(/…/, "...", line)
    if (line ~ /^[.']/)
        line = "\\&" line
    return line
}

function put_code(text, file,    lines, n, i) {
    n = split(text, lines, "\n")
    print ".nf" > file
    for (i = 1; i <= n; i++)
        print troff(lines[i]) > file
    print ".fi" > file
}

function put_text(text, file,    lines, n, i, line, is_code) {
    n = split(text, lines, "\n")
    for (i = 1; i <= n; i++) {
        line = lines[i]
        sub(/^\/\* ?/, "", line)
        sub(/ *\*\/ *$/, "", line)
        sub(/^ \* ?/, "", line)
        sub(/^        +\* /, "", line)
        if (line ~ /^ *\*?$/) {
            print (is_code ? "" : ".PP") > file
            continue
        }
        if (line ~ /^    /) {
            if (!is_code)
                print ".nf" > file
            is_code = 1
        } else if (is_code) {
            print ".fi" > file
            is_code = 0
        }
        line = troff(line)
        while (match(line, /`[^`]*`/))
            line = substr(line, 1, RSTART - 1) "\\fI" substr(line, RSTART + 1, RLENGTH - 2) "\\fP" \
                   substr(line, RSTART + RLENGTH)
        print line > file
    }
    if (is_code)
        print ".fi" > file
}

# The types that a declaration speaks of, as pages to see.
function put_types(text, file,    type, seen_types) {
    gsub(/\/\*[^*]*\*+([^\/*][^*]*\*+)*\//, "", text)
    while (match(text, /cache_[a-z0-9_]+/)) {
        type = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        if (!(type in seen_types) && type != names[1] && type != "cache_t" && type != "cache_status" && text ~ /^ /)
            print ".BR " type " (3)," > file
        seen_types[type] = 1
    }
}

function put_page(    i, file, title, body) {
    file = out "/" names[1] ".3"
    body = comment != "" ? comment : remarks[1] != "" ? remarks[1] : note_on(names[1])
    title = first_sentence(body)
    printf ".TH %s 3 \"\" \"libcache %s\" \"libcache\"\n.SH NAME\n", toupper(names[1]), version > file
    for (i = 1; i <= n_names; i++)
        printf "%s%s", names[i], (i < n_names ? ", " : "") > file
    printf " \\- %s\n.SH SYNOPSIS\n.nf\n.B #include <libcache/%s>\n.fi\n.PP\n", troff(title), header > file
    for (i = 1; i <= n_names; i++)
        put_code(declarations[i], file)
    print ".SH DESCRIPTION" > file
    put_text(body, file)
    if (note != "" && body == comment) {
        print ".SH OF ALL OF THESE" > file
        put_text(note, file)
    }
    print ".SH SEE ALSO" > file
    put_types(declarations[1], file)
    printf ".BR libcache\\-url (7),\n.BR libcache\\-memoize (7),\n.BR libcache\\-views (7)\n" > file
    close(file)
    for (i = 2; i <= n_names; i++) {
        if (names[i] == names[1])
            continue
        print ".so man3/" names[1] ".3" > (out "/" names[i] ".3")
        close(out "/" names[i] ".3")
    }
}

function end_group(    i) {
    for (i = 1; i <= n_names && mode != "man"; i++) {
        if (mode == "names")
            print names[i]
        if (mode == "check" && comment == "" && remarks[i] == "" && note_on(names[i]) == "") {
            print FILENAME ": " names[i] " has no comment"
            failed = 1
        }
    }
    if (mode == "man" && n_names > 0)
        put_page()
    comment = ""
    n_names = 0
}

function remark_of(text) {
    return match(text, /\/\*[^*]*\*+([^\/*][^*]*\*+)*\//) ? substr(text, RSTART, RLENGTH) : ""
}

function end_declaration(    name, shown) {
    name = name_of(declaration)
    if (name != "") {
        n_names++
        names[n_names] = name
        shown = declaration
        if (shown ~ /^#define/ && length(shown) > 200) {    # what a macro does inside is not for its users
            sub(/\).*/, ")", shown)
        }
        declarations[n_names] = shown
        remarks[n_names] = remark_of(declaration)
    }
    declaration = ""
}

# ---- for Doxygen ----

function doxygen_comment(text) {
    sub(/^\/\*/, "/**", text)
    gsub(/</, "\\<", text)
    gsub(/#/, "\\#", text)
    return text
}

function doxygen_line(line) {
    if (line ~ /[^ ].*\/\* /)
        sub(/\/\* /, "/**< ", line)
    return line
}

# ---- the lines ----

FNR == 1 {
    header = FILENAME
    sub(/.*\//, "", header)
    comment = declaration = note = ""
    n_notes = n_names = depth = is_cpp = in_comment = in_declaration = seen = 0
}

in_comment {
    text = text "\n" $0
    if ($0 ~ /\*\//) {
        in_comment = 0
        take_comment()
    }
    next
}

function take_comment() {
    if (text ~ /^\/\* ----/) {
        note = text ~ /\n/ ? substr(text, index(text, "\n") + 1) : ""
        notes[++n_notes] = note
        if (mode == "doxygen")
            print text
    } else {
        comment = seen ? text : ""
        if (mode == "doxygen" && !seen) {
            sub(/^\/\*[^-]*- /, "/* @file " header "\n * ", text)
            print doxygen_comment(text)
        }
    }
    seen = 1
}

!in_declaration && /^\/\*/ {
    end_group()
    text = $0
    if ($0 ~ /\*\//)
        take_comment()
    else
        in_comment = 1
    next
}

!in_declaration && /^$/ {
    end_group()
    if (mode == "doxygen")
        print
    next
}

# What C++ alone sees: stubs of macros, which say that they are C.
!in_declaration && /^#ifdef __cplusplus/ { is_cpp = 1 }
!in_declaration && /^#(else|endif)/ { is_cpp = 0 }
is_cpp {
    if (mode == "doxygen")
        print
    next
}

!in_declaration && (/^#(if|ifdef|ifndef|else|endif|include|error|undef|pragma)/ || /^}/ || /^extern "C"/) {
    if (mode == "doxygen")
        print
    next
}

!in_declaration {
    in_declaration = 1
    declaration = ""
    depth = 0
    if (mode == "doxygen" && comment != "")
        print doxygen_comment(comment)
}

in_declaration {
    declaration = declaration (declaration != "" ? "\n" : "") $0
    if (mode == "doxygen")
        print doxygen_line($0)
    if (declaration ~ /^#define/) {
        if ($0 ~ /\/\*/ && $0 !~ /\*\//)
            in_remark = 1
        if (in_remark ? $0 ~ /\*\// : $0 !~ /\\$/) {
            in_remark = in_declaration = 0
            end_declaration()
        }
        next
    }
    line = $0
    gsub(/\/\*.*/, "", line)
    gsub(/"[^"]*"/, "", line)
    depth += gsub(/{/, "{", line) - gsub(/}/, "}", line)
    if (depth == 0 && line ~ /;[ ]*$/) {
        if ($0 ~ /\/\*/ && $0 !~ /\*\//)
            in_remark = 1
        else {
            in_declaration = 0
            end_declaration()
        }
    } else if (in_remark && $0 ~ /\*\//) {
        in_remark = in_declaration = 0
        end_declaration()
    }
    next
}

END {
    end_group()
    exit failed
}
