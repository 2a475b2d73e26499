# Completion of libcache(1) for bash.
_libcache() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} commands options
    commands="get set add delete inc touch ttl keys stats clear copy bench doctor"
    options="--json --raw --verbose --yes --ttl --pattern --count --size --help --version"
    COMPREPLY=()
    case $before in
    --ttl)
        mapfile -t COMPREPLY < <(compgen -W "forever" -- "$word")
        return
        ;;
    --pattern | --count | --size)
        return
        ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        return
    fi
    # Count words, not bash's pieces: it cuts a URL at its colons.
    local line=${COMP_LINE:0:COMP_POINT} words
    read -r -a words <<<"$line"
    local n=${#words[@]}
    [[ $line == *[[:space:]] ]] && n=$((n + 1))
    if ((n == 2)); then
        mapfile -t COMPREPLY < <(compgen -W "memory:// file:/// redis:// memcached:// null://" -- "${words[1]-}")
        # What bash takes for done, up to the last colon, is not repeated.
        [[ ${words[1]-} == *:* ]] && COMPREPLY=("${COMPREPLY[@]#*:}")
    elif ((n == 3)); then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
    fi
}
complete -o nospace -F _libcache libcache
