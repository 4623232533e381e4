# A dump in a guest, for stillpoint: the guest's own dump client, and what carries its output out. Plain POSIX sh (dash, busybox), given to
# `sh -c` by guest-exec. Nothing from outside is ever part of this text: words come as arguments, the login as standard input.
#   start NAME PRODUCT WAY IDLE_S LIFETIME_S ARGUMENT...   input: an option file, maybe empty. PRODUCT is mariadb or mysql; WAY is agent or port.
#                        Prints the client's process and, after a space, what it says of its version.
#   read NAME BLOCKS     Prints what comes next, BLOCKS times 64 KiB; less where dd knows no fullblock. Once the client has ended, standard
#                        error has `ended CODE BYTES`, and from the next line on what the client said. Behind the last of BYTES come the
#                        bytes of NAME, and then zeros without an end.
#   status NAME CAME     The same standard error, of a dump that goes out through the port NAME, behind whose last byte nothing but NAME comes.
#                        CAME is 1 where some of it has arrived.
#   end NAME PATIENCE    Ends the client and removes all there is. Where there is nothing, waits PATIENCE times 50 ms for it to appear.
# All there is of a dump is in one folder in memory:
#   pid       the keeper, which starts the others and removes the folder
#   client    the client, and what copies and counts its output
#   my.cnf    its login, until the first piece was read
#   raw       a FIFO from the client to tee; counted, from tee to wc; data, from tee to whoever reads, where that is through the agent
#   err       what the client says beside the dump
#   alive     somebody has read or asked; removed each second. Without it for IDLE_S seconds the dump is ended, and after LIFETIME_S in any case.
#   late      that was so
#   ended     `ended CODE BYTES`
# Exit: 0 done, 3 there is no such dump (any more), 4 it could not be ended, 5 no place for it, 6 a program is missing, 7 the client is of
# another product, 8 there is no such port.
set -u
umask 077
export LC_ALL=C HOME="${HOME:-/root}" PATH="${PATH:-}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/mysql/bin"
# The dump takes no space on a disk of the guest.
places="/run /dev/shm"

in_memory() {
    memory=''
    while read -r _ point type options _; do
        [ "$point" = "$1" ] || continue
        # The last one lies on top.
        memory=''
        case $type,$options in tmpfs,rw* | ramfs,rw*) memory=yes ;; esac
    done </proc/self/mounts
    [ -n "$memory" ]
}

# Where sleep knows no fractions.
pause() {
    sleep 0.05 2>/dev/null || sleep 1
}

# Sets `directory` to that of dump $1.
find() {
    for place in $places; do
        directory=$place/$1
        [ -d "$directory" ] && return
    done
    false
}

# Whether process $2 is alive and of dump $1: another may have its number by now.
is_of() {
    # The grep of busybox sees nothing behind a NUL.
    { tr '\0' '\n' <"/proc/$2/cmdline" | grep -qF "$1"; } 2>/dev/null
}

refuse() {
    rm -rf "$directory"
    echo "$2" >&2
    exit "$1"
}

# Writes the client's option file: who it is and where the server is, as the guest's own option files have it, and over that the input. What
# else they say may change the form of a dump, its locks, or leave its end mark out.
options() {
    if command -v my_print_defaults >/dev/null; then
        groups="client client-server client-mariadb mysqldump mariadb-dump"
        echo "[client]"
        # MySQL's hides a password without -s, MariaDB's does not know that.
        {
            my_print_defaults -s $groups 2>/dev/null || my_print_defaults $groups 2>/dev/null
        } </dev/null | sed -n -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^--\(user\)=\(.*\)/\1="\2"/p' \
            -e 's/^--\(password\)=\(.*\)/\1="\2"/p' -e 's/^--\(socket\)=\(.*\)/\1="\2"/p'
    fi
    cat "$directory/given"
}

# Ends the dump when nobody has read for too long, or it has lived for too long: the host may be gone.
watch() {
    nap='' idle=$idle_s left=$lifetime_s
    trap 'kill $nap 2>/dev/null; exit' HUP INT TERM
    while [ "$idle" -gt 0 ] && [ "$left" -gt 0 ]; do
        sleep 1 &
        nap=$!
        wait "$nap"
        # Somebody has removed it: then nobody can read it any more.
        [ -d "$directory" ] || { kill $client $copier 2>/dev/null; exit; }
        idle=$((idle - 1)) left=$((left - 1))
        [ ! -e "$directory/alive" ] || { rm -f "$directory/alive"; idle=$idle_s; }
    done
    : >"$directory/late"
    kill $client $copier 2>/dev/null
    # Where the keeper was killed, nobody else removes the folder.
    sleep 10 &
    nap=$!
    wait "$nap"
    leave
}

# Renamed first: nobody can put a new file into it meanwhile.
discard() {
    mv "$directory" "$directory.gone" 2>/dev/null && rm -rf "$directory.gone"
}

# What the keeper does last.
leave() {
    trap '' HUP INT TERM
    kill $client $copier $counter $filler $watcher 2>/dev/null
    # A shell that was forked just now may lose its first signal.
    pause
    kill -KILL $client $copier $counter $filler $watcher 2>/dev/null
    wait
    discard
    exit
}

# Runs the client and keeps its output from being lost until it was read. Held open for reading and writing, the FIFO has no end, and nobody
# waits for the other side.
keep() {
    [ "$way" = port ] || exec 3<>"$directory/data"
    client='' copier='' counter='' filler='' watcher='' asked=''
    # Not before it is known whom to end: a trap may run between a fork and the note of its process.
    trap 'asked=yes' HUP INT TERM
    (
        trap - HUP INT TERM
        # Of what it says beside the dump; a pipe has no such limit.
        ulimit -f 2048 2>/dev/null
        exec "$program" --defaults-file="$directory/my.cnf" "$@" >"$directory/raw" 2>"$directory/err" 3<&-
    ) &
    client=$!
    (trap - HUP INT TERM; exec tee "$target" <"$directory/raw" >"$directory/counted" 3<&-) &
    copier=$!
    (trap - HUP INT TERM; exec wc -c <"$directory/counted" >"$directory/bytes" 3<&-) &
    counter=$!
    (exec 3<&-; watch) &
    watcher=$!
    echo "$client $copier" >"$directory/client.new" && mv "$directory/client.new" "$directory/client"
    trap leave HUP INT TERM
    [ -z "$asked" ] || leave
    wait "$client"
    code=$?
    client=
    wait "$copier"
    copier=
    wait "$counter"
    counter=
    rm -f "$directory/my.cnf"
    [ ! -e "$directory/late" ] || leave
    read -r bytes <"$directory/bytes"
    echo "ended $code $bytes" >"$directory/ended.new" && mv "$directory/ended.new" "$directory/ended"
    trap 'asked=yes' HUP INT TERM
    # The zeros, so that whoever waits for a whole piece gets one.
    case $way in
    port) (trap - HUP INT TERM; printf '%s' "$name" >"$target") & ;;
    *) (trap - HUP INT TERM; exec >&3 3<&-; printf '%s' "$name" && exec cat /dev/zero) & ;;
    esac
    filler=$!
    trap leave HUP INT TERM
    [ -z "$asked" ] || leave
    wait "$watcher"
    watcher=
    leave
}

# Says how the client has ended, where it has.
tell() {
    [ -e "$directory/ended" ] || return 0
    cat "$directory/ended" >&2
    head -c 16384 <"$directory/err" >&2
}

case $1 in
start)
    name=$2 product=$3 way=$4 idle_s=$5 lifetime_s=$6 directory=
    shift 6
    for place in $places; do
        in_memory "$place" && mkdir "$place/$name" 2>/dev/null && directory=$place/$name && break
    done
    [ -n "$directory" ] || { echo "no private folder can be made in memory: $places" >&2; exit 5; }
    for needed in mkfifo tee wc dd cat sed head tr grep; do
        command -v $needed >/dev/null || refuse 6 "there is no $needed"
    done
    case $product in
    mariadb) program=$(command -v mariadb-dump || command -v mysqldump) || refuse 6 "there is no dump client: neither mariadb-dump nor mysqldump" ;;
    *) program=$(command -v mysqldump) || refuse 6 "there is no dump client: no mysqldump" ;;
    esac
    version=$("$program" --no-defaults --version </dev/null 2>/dev/null | head -c 300 | head -n 1)
    case $product,$version in
    mariadb,*MariaDB*) ;;
    mariadb,* | *,*MariaDB*) refuse 7 "$program is of another product than the server: $version" ;;
    esac
    cat >"$directory/given" && options >"$directory/my.cnf" || refuse 5 "the option file cannot be written"
    # A login file of the guest would come before a login that is given.
    [ ! -s "$directory/given" ] || export MYSQL_TEST_LOGIN_FILE="$directory/none"
    rm -f "$directory/given"
    target=$directory/data tries=100
    if [ "$way" = port ]; then
        target=/dev/virtio-ports/$name
        # udev names it a moment after it is there.
        until [ -c "$target" ] || [ -p "$target" ]; do
            [ "$tries" -gt 0 ] || refuse 8 "the guest sees no port $target"
            tries=$((tries - 1))
            pause
        done
    fi
    : >"$directory/err" && mkfifo "$directory/data" "$directory/raw" "$directory/counted" || refuse 5 "no FIFO can be made"
    (keep "$@") </dev/null >/dev/null 2>&1 &
    echo $! >"$directory/pid"
    while [ ! -e "$directory/client" ]; do
        [ -d "$directory" ] || exit 3
        pause
    done
    read -r client _ <"$directory/client"
    echo "$client $version"
    ;;
read)
    find "$2" || exit 3
    is_of "$2" "$(cat "$directory/pid")" || exit 3
    blocks=$3 full=iflag=fullblock
    : >"$directory/alive"
    dd $full count=0 </dev/null >/dev/null 2>&1 || full=
    # To open a FIFO for reading only waits for who writes to it, which the keeper may do no more: opened for both first, it does not. And then
    # it has an end when the keeper ends. No timeout here: that of busybox goes on for a second, and the agent waits for its output.
    (exec 4<>"$directory/data" 5<"$directory/data" 4<&- && exec dd bs=65536 count="$blocks" $full <&5 5<&-) 2>/dev/null || exit 3
    [ -d "$directory" ] || exit 3
    : >"$directory/alive"
    rm -f "$directory/my.cnf"
    tell
    ;;
status)
    find "$2" && is_of "$2" "$(cat "$directory/pid")" || exit 3
    : >"$directory/alive"
    [ "$3" = 0 ] || rm -f "$directory/my.cnf"
    tell
    ;;
end)
    patience=$3
    until find "$2" && [ -s "$directory/pid" ]; do
        if [ "$patience" -le 0 ]; then
            # What its start has left that did not come so far.
            ! find "$2" || discard
            exit 0
        fi
        patience=$((patience - 1))
        pause
    done
    pid=$(cat "$directory/pid" 2>/dev/null)
    ! is_of "$2" "$pid" || kill "$pid" 2>/dev/null
    tries=100
    while [ -d "$directory" ] && [ "$tries" -gt 0 ]; do
        # Without its keeper the client is ended here.
        if ! is_of "$2" "$(cat "$directory/pid" 2>/dev/null)"; then
            for pid in $(cat "$directory/client" 2>/dev/null); do
                ! is_of "$2" "$pid" || kill "$pid" 2>/dev/null
            done
            discard
        fi
        tries=$((tries - 1))
        pause
    done
    [ ! -d "$directory" ] || { echo "still there: $directory" >&2; exit 4; }
    ;;
esac
