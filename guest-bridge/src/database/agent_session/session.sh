# A database session in a guest, for stillpoint. Plain POSIX sh (dash, busybox), given to `sh -c` by guest-exec. Nothing from outside is
# ever part of this text: words come as arguments, statements and credentials as standard input.
#   open NAME NONCE DEADLINE_S LIFETIME_S SOCKET   input: an option file, maybe empty
#   query NAME NONCE DEADLINES_S                   input: statements, behind each of them one that selects the nonce. DEADLINES_S is a
#                                                  list: what the answer to each may take once the one before it is there, or + for what that one
#                                                  has left.
#   close NAME PATIENCE [CONNECTION_ID SOCKET]     input: an option file. With an id, what this connection does is killed. A session that
#                                                  may not be there yet is waited for, PATIENCE times 50 ms.
#   end-all OWNER                                  ends every session whose name begins with OWNER and a dash.
# NAME is random, chosen by the host, so that a session whose opening was given up can be closed.
# Exit: 0 answered, 3 the client has ended, 4 no answer in time, 5 no place for the session, 6 a program is missing.
set -u
umask 077
# /run is memory: no disk is written to, and none that is frozen is waited for.
places="/run /dev/shm /tmp"
export LC_ALL=C HOME="${HOME:-/root}" PATH="${PATH:-}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/mysql/bin"

# Writes the client's option file: who it is and where the server is, as the guest's own option files have it, and over that the input. What
# else they say may change the form of the output, write it into a file, or lead elsewhere.
options() {
    {
        if command -v my_print_defaults >/dev/null; then
            groups="client client-server client-mariadb mysql mariadb-client"
            echo "[client]"
            # MySQL's hides a password without -s, MariaDB's does not know that.
            {
                my_print_defaults -s $groups 2>/dev/null || my_print_defaults $groups
            } </dev/null | sed -n -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^--\(user\)=\(.*\)/\1="\2"/p' \
                -e 's/^--\(password\)=\(.*\)/\1="\2"/p' -e 's/^--\(socket\)=\(.*\)/\1="\2"/p'
        fi
        cat
    } >"$directory/my.cnf"
}

# Runs the client there is. What an option file says about the form of the output is overruled as far as that goes, where the client has
# to read it. From 11.4 on MariaDB's insists on TLS, which a server need not have, and a socket does not need; MySQL's knows nothing of it.
client() {
    program=$(command -v mariadb || command -v mysql) || exit 6
    defaults=--defaults-file
    command -v my_print_defaults >/dev/null || defaults=--defaults-extra-file
    set -- "$defaults=$directory/my.cnf" ${socket:+"--socket=$socket"} --protocol=socket --batch --unbuffered --force --binary-mode \
        --column-names --skip-raw --skip-html --skip-xml --skip-vertical --skip-auto-rehash --skip-reconnect \
        --loose-ssl-verify-server-cert=0 --local-infile=0 --connect-timeout=10 --default-character-set=utf8mb4
    exec timeout "$lifetime_s" "$program" "$@"
}

# Sets `directory` to that of session $1.
find() {
    for place in $places; do
        directory=$place/stillpoint.$1
        [ -d "$directory" ] && return
    done
    false
}

# Ends the client of directory $1, and waits $2 times 50 ms for its end.
end() {
    kill "$(cat "$1/pid")" 2>/dev/null
    tries=$2
    while [ -d "$1" ] && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.05 2>/dev/null || sleep 1
    done
}

# Prints what the client says until it has said the nonce as often as there are deadlines. The files are opened first: whoever removes
# them cannot take its last words.
answer() {
    pause=0.02 a_second=50 answered=0 verdict=
    set -- $deadlines_s
    ticks=$(($1 * a_second))
    while :; do
        said=$(grep -cFx "$nonce" "$directory/out" 2>/dev/null)
        while [ "${said:-0}" -gt "$answered" ] && [ $# -gt 0 ]; do
            answered=$((answered + 1))
            shift
            # A + goes on with what is left.
            [ "${1:-+}" = + ] || ticks=$(($1 * a_second))
        done
        [ $# -eq 0 ] && verdict=0
        # 2000 to 2999 are the client's own errors: the connection is gone, and so will be the answer.
        [ -z "$verdict" ] && [ -s "$directory/err" ] && grep -q '^ERROR 2[0-9][0-9][0-9] ' "$directory/err" && verdict=3
        [ -z "$verdict" ] && [ ! -p "$directory/in" ] && verdict=3
        [ -z "$verdict" ] && [ "$ticks" -le 0 ] && verdict=4
        [ -n "$verdict" ] && break
        ticks=$((ticks - 1))
        # Where sleep knows no fractions.
        sleep "$pause" 2>/dev/null || { ticks=$((ticks / a_second)) pause=1 a_second=1; sleep 1; }
    done
    head -c 5000000 <&5
    head -c 100000 <&4 >&2
    exit "$verdict"
}

case $1 in
open)
    name=$2 nonce=$3 deadlines_s=$4 lifetime_s=$5 socket=$6 directory=
    for place in $places; do
        mkdir "$place/stillpoint.$name" 2>/dev/null && directory=$place/stillpoint.$name && break
    done
    [ -d "$directory" ] || { echo "no private directory can be made in $places" >&2; exit 5; }
    for needed in timeout mkfifo; do
        command -v $needed >/dev/null || { rmdir "$directory"; echo "there is no $needed" >&2; exit 6; }
    done
    command -v mariadb >/dev/null || command -v mysql >/dev/null || {
        rmdir "$directory"
        echo "there is no client: neither mariadb nor mysql" >&2
        exit 6
    }
    : >"$directory/out" && : >"$directory/err" && options 2>>"$directory/err" && mkfifo "$directory/in" || exit 5
    exec 4<"$directory/err" 5<"$directory/out" 6<>"$directory/in"
    (
        # Held open for reading and writing, the FIFO has no end of file, and nobody waits for the other side. If this shell is killed,
        # the client sees the end.
        exec 3<>"$directory/in" 4<&- 5<&- 6<&-
        client <"$directory/in" >>"$directory/out" 2>>"$directory/err" 3<&- &
        pid=$!
        echo "$pid" >"$directory/pid"
        trap 'kill "$pid"' HUP INT TERM
        wait "$pid"
        trap '' HUP INT TERM
        wait "$pid"
        # Renamed first: nobody can put a new file into it meanwhile.
        mv "$directory" "$directory.gone" && rm -rf "$directory.gone"
    ) </dev/null >/dev/null 2>&1 &
    printf 'SELECT CONNECTION_ID() AS id;\nSELECT '\''%s'\'' AS stillpoint;\n' "$nonce" >&6
    # Once it has answered, the client has read its credentials.
    trap 'rm -f "$directory/my.cnf" 2>/dev/null' EXIT
    answer
    ;;
query)
    nonce=$3 deadlines_s=$4
    find "$2" && [ -p "$directory/in" ] || exit 3
    exec 4<"$directory/err" 5<"$directory/out" 6<>"$directory/in"
    : >"$directory/out"
    : >"$directory/err"
    cat >&6
    answer
    ;;
close)
    patience=$3 socket=${5:-} lifetime_s=5
    until find "$2" && [ -s "$directory/pid" ]; do
        [ "$patience" -gt 0 ] || exit 0
        patience=$((patience - 1))
        sleep 0.05 2>/dev/null || sleep 1
    done
    if [ -n "${4:-}" ]; then
        options 2>/dev/null
        echo "KILL CONNECTION $4;" | (client) >/dev/null 2>&1
        rm -f "$directory/my.cnf"
    fi
    end "$directory" 100
    ;;
end-all)
    left=
    for place in $places; do
        for directory in "$place"/stillpoint."$2"-*; do
            [ -d "$directory" ] || continue
            end "$directory" 40
            [ -d "$directory" ] && left="$left $directory"
        done
    done
    [ -z "$left" ] || { echo "still there:$left" >&2; exit 4; }
    ;;
esac
