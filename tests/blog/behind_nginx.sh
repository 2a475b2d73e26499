#!/bin/sh
# Two blogs behind nginx, with the configuration that a guide shows: users log in and post through it, whichever of the
# two processes answers.
#   behind_nginx.sh BLOG GUIDE.md
set -eu
program=$1 guide=$2
directory=$(mktemp -d)
pids=
stop() {
    for pid in $pids; do kill "$pid" 2>/dev/null || :; done
    for pid in $pids; do wait "$pid" 2>/dev/null || :; done
    rm -rf "$directory"
}
trap stop EXIT

fail() {
    echo "behind nginx: $*" >&2
    cat "$directory/answer" "$directory"/*.log >&2 2>/dev/null || :
    exit 1
}

# Any three ports in a row: one in thousands is taken.
port=$(shuf -i 20000-32000 -n 1)
one=$((port + 1)) two=$((port + 2))
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -keyout "$directory/blog.key" -out "$directory/blog.pem" 2>/dev/null

wait_for() {
    tries=0
    until curl -sk -o "$directory/answer" --fail "$1"; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || fail "$1 does not answer"
        sleep 0.1
    done
}

# Only ports and paths differ from what the guide shows.
start_nginx() {    # start_nginx SED_SCRIPT
    user=
    [ "$(id -u)" != 0 ] || user="user root;"    # else its workers may not write to the directory
    {
        echo "$user daemon off; pid $directory/nginx.pid; error_log $directory/nginx.log; events {}"
        echo "http { access_log off;"
        for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $directory/$kind;"; done
        sed -n '/^```nginx$/,/^```$/{/^```/d;p;}' "$guide" |
            sed "s/listen 443/listen 127.0.0.1:$port/; s/:9001/:$one/; s/:9002/:$two/
                 s,/etc/ssl/[a-z]*,$directory,; $1"
        echo "}"
    } >"$directory/nginx.conf"
    PATH=$PATH:/usr/sbin nginx -c "$directory/nginx.conf" -e "$directory/nginx.log" &
    nginx=$!
    pids="$pids $nginx"
    wait_for "https://localhost:$port/login"
}

# Send a request with the cookies of the one before, and expect this status.
ask() {    # ask STATUS PATH CURL_OPTION…
    expect=$1 path=$2
    shift 2
    status=$(curl -sk -o "$directory/answer" -w '%{http_code}' --max-time 10 -b "$directory/cookies" \
        -c "$directory/cookies" "$@" "https://localhost:$port$path") || fail "curl $path: status $?"
    [ "$status" = "$expect" ] || fail "$path: status $status, not $expect"
}

# Log in and post. The headers are those of a browser, and STATUS is the answer to its forms.
browse() {    # browse STATUS TITLE CURL_OPTION…
    outcome=$1 title=$2
    shift 2
    rm -f "$directory/cookies"
    ask "$outcome" /login "$@" --data "username=ada&password=secret"
    ask "$outcome" /new-post "$@" --data "title=$title&content=words"
    for process in 1 2 3 4; do    # nginx asks one after the other
        ask 200 "/?page=1"
        [ "$(grep -c "$title" "$directory/answer")" -ge 1 ] || [ "$outcome" != 303 ] ||
            fail "request $process does not show the new post"
    done
}

for where in "$one" "$two"; do
    BLOG_ADA_PASSWORD=secret "$program" --port "$where" --behind-proxy --db "$directory/blog.db" \
        --cache "file://$directory/cache?max_bytes=1gb" >"$directory/$where.log" 2>&1 &
    pids="$pids $!"
    wait_for "http://127.0.0.1:$where/healthz"
done

ours="Origin: https://localhost:$port"
theirs='Origin: https://evil.example'
start_nginx ''
browse 303 Origin-alone -H "$ours"
grep -q 'TRUE.*session' "$directory/cookies" || fail "the session's cookie is not for TLS alone"
browse 303 Both-headers -H "$ours" -H 'Sec-Fetch-Site: same-origin'
browse 403 Forged -H "$theirs" -H 'Sec-Fetch-Site: cross-site'
browse 403 Forged -H "$theirs"
kill "$nginx"
wait "$nginx" || :

# Many guides say $host, which has no port. Browsers that send Sec-Fetch-Site can use the site all the same.
start_nginx 's/\$http_host/$host/'
browse 303 Without-port -H "$ours" -H 'Sec-Fetch-Site: same-origin'
browse 403 Forged -H "$theirs" -H 'Sec-Fetch-Site: cross-site'
ask 200 /
! grep -q Forged "$directory/answer" || fail "a form of another site was taken"
echo "behind nginx: as it should be"
