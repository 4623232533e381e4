# A watchdog in a guest, for stillpoint: it thaws filesystems if nobody else does. Plain POSIX sh (dash, busybox), given to `sh -c` by
# guest-exec. Nothing from outside is ever part of this text: words come as arguments.
#   arm PLACES TOKEN AFTER_S MOUNTPOINT...   input: this text. Starts one, and prints `directory PATH`, `fsfreeze PATH`, `programs memory`
#                                            or `programs cache`, for each mountpoint `ok NUMBER` or `no NUMBER WHY`, end.
#   disarm PLACES TOKEN                      Ends it, and prints `in-time`, `has-thawed` or `not-there`, and end. As often as it is asked.
#   probe PLACES                Prints `place PATH` and `fsfreeze PATH` where one could be armed, and end. Makes nothing.
#   watch DIRECTORY AFTER_S SLEEP FSFREEZE MOUNTPOINT...   is the watchdog. SLEEP and FSFREEZE are the words that run these programs.
# PLACES are folders, separated by spaces, of which some are filesystems in memory. There is PLACE/TOKEN with
#   armed/      as long as it may thaw
#   armed/pid   its process, once it waits
#   armed/waits is not empty until it begins to thaw
#   off/        it was disarmed; armed/ is in it then
#   programs/   what it runs
# Exit: 0 answered, 5 there can be none in this guest, 8 this token was armed or disarmed before, 9 it does not start or does not end.
set -u
umask 077
export LC_ALL=C PATH="${PATH:-}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

# Whether something in memory is mounted at $1. Sets `noexec` where no program may run from it.
in_memory() {
    memory='' noexec=''
    while read -r _ point type options _; do
        [ "$point" = "$1" ] || continue
        # The last one lies on top.
        memory='' noexec=''
        case $type,$options in tmpfs,rw* | ramfs,rw*) memory=yes ;; esac
        case ,$options, in *,noexec,*) noexec=yes ;; esac
    done </proc/self/mounts
    [ -n "$memory" ]
}

# Where sleep knows no fractions.
pause() {
    sleep 0.05 2>/dev/null || sleep 1
}

impossible() {
    rm -rf "$directory"
    echo "$1" >&2
    exit 5
}

# Copies program $1 and the libraries that it loads to memory. Sets `words` to those that run it there. It fails where it is not known what
# the program loads: the copy would load that from the disk.
copy() {
    file=$(command -v "$1") && cp -L -- "$file" "$programs/$1" || return
    words=$programs/$1
    loads=$(ldd "$file" 2>&1)
    case $loads in *"ot a dynamic executable"* | *"statically linked"* | *"ot a valid dynamic program"*) return 0 ;; esac
    printf '%s\n' "$loads" | while read -r name arrow path _; do
        case $name,$arrow,$path in
        /*) cp -L -- "$name" "$words.loader" ;;
        *,=\>,/*) cp -L -- "$path" "$programs/$name" ;;
        esac || exit
    done && [ -e "$words.loader" ] || return
    words="$words.loader --library-path $programs $words"
}

# Whether the programs run, which also brings them into the page cache: that has to do where they cannot be copied. To thaw what is never
# frozen changes nothing; the kernel says that it is not frozen only to whom it lets thaw.
work() {
    $sh -c 'exit 7' >/dev/null 2>&1
    [ $? -eq 7 ] || { said="sh does not run"; return 1; }
    $sleep 0 || { said="sleep does not run"; return 1; }
    said=$($fsfreeze --unfreeze "$directory" 2>&1)
    case $said in *"Invalid argument"*) ;; *) false ;; esac
}

# Prints the processes of the watchdog $pid: its session, or where it has none of its own, itself and what it started. Not the dead that
# nobody waits for.
processes() {
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        # Behind the name: state, parent, process group, session.
        set -- "${line%% *}" ${line##*) }
        case $2 in Z | X) continue ;; esac
        case " $1 $3 $5 " in *" $pid "*) echo "$1" ;; esac
    done
}

case $1 in
probe)
    chosen=''
    for place in $2; do
        in_memory "$place" && { chosen=$place; break; }
    done
    [ -n "$chosen" ] || { echo "none of these is a filesystem in memory: $2" >&2; exit 5; }
    fsfreeze=$(command -v fsfreeze) || { echo "there is no fsfreeze (of util-linux)" >&2; exit 5; }
    [ "$(id -u)" = 0 ] || { echo "the agent does not run as root" >&2; exit 5; }
    printf 'place %s\nfsfreeze %s\nend\n' "$chosen" "$fsfreeze"
    ;;
arm)
    script=$(cat) places=$2 token=$3 after_s=$4
    shift 4
    chosen='' chosen_noexec=''
    for place in $places; do
        in_memory "$place" && { [ -z "$chosen" ] || [ -z "$noexec" ]; } || continue
        chosen=$place chosen_noexec=$noexec
        [ -n "$noexec" ] || break
    done
    directory=$chosen/$token
    [ -n "$chosen" ] || { echo "none of these is a filesystem in memory: $places" >&2; exit 5; }
    # What earlier ones have left that were disarmed. It is kept for a while, because an answer may be lost.
    find "$chosen" -maxdepth 1 -type d -user 0 -name 'stillpoint-watchdog.*' -mmin +1440 \
        -exec sh -c '[ ! -d "$1/off" ] || rm -rf "$1"' sh {} \; 2>/dev/null
    why=$(mkdir "$directory" 2>&1) || {
        [ ! -d "$directory" ] || exit 8
        echo "$why" >&2
        exit 5
    }
    { mkdir "$directory/armed" && echo yes >"$directory/armed/waits"; } 2>/dev/null || impossible "$chosen is full"
    [ ! -d "$directory/off" ] || exit 8

    programs=$directory/programs kept=memory
    {
        [ -z "$chosen_noexec" ] && mkdir "$programs" && copy sh && sh=$words && copy sleep && sleep=$words &&
            copy fsfreeze && fsfreeze=$words && work
    } 2>/dev/null || {
        kept=cache
        rm -rf "$programs"
        sh=$(command -v sh) && sleep=$(command -v sleep) || impossible "there is no sh, or no sleep"
        fsfreeze=$(command -v fsfreeze) || impossible "there is no fsfreeze (of util-linux)"
        work || impossible "what thaws does not work: $said"
    }

    # A session of its own: no terminal and no end of the agent's ends it.
    cd /
    $(command -v setsid) $sh -c "$script" "$0" watch "$directory" "$after_s" "$sleep" "$fsfreeze" "$@" \
        </dev/null >/dev/null 2>&1 &
    tries=100
    until [ -s "$directory/armed/pid" ]; do
        [ ! -d "$directory/off" ] || exit 8
        [ "$tries" -gt 0 ] || {
            kill -s KILL "$!" 2>/dev/null
            rm -rf "$directory"
            echo "the watchdog does not start" >&2
            exit 9
        }
        tries=$((tries - 1))
        pause
    done
    printf 'directory %s\nfsfreeze %s\nprograms %s\n' "$directory" "$(command -v fsfreeze)" "$kept"
    number=0
    for mountpoint; do
        if [ -d "$mountpoint" ]; then echo "ok $number"; else echo "no $number no such folder"; fi
        number=$((number + 1))
    done
    echo end
    ;;
watch)
    armed=$2/armed after_s=$3 sleep=$4 fsfreeze=$5
    shift 5
    trap '' HUP INT
    # Whoever ends the agent and what it started ends the wait: nobody else would thaw then.
    trap 'kill $!' TERM
    $sleep "$after_s" &
    echo $$ >"$armed/pid" || exit
    wait $!
    # Once it is disarmed there is no such folder, and this fails: either has come first, and both know who. Nothing is made here, because a
    # filesystem in memory may be full.
    : >"$armed/waits" || exit
    trap '' TERM
    for mountpoint; do
        # Side by side: one that hangs keeps no other. Over and over: a freeze may come late.
        (
            rounds=30
            while [ "$rounds" -gt 0 ] && [ -d "$armed" ]; do
                $fsfreeze --unfreeze "$mountpoint"
                $sleep 2
                rounds=$((rounds - 1))
            done
        ) &
    done
    wait
    ;;
disarm)
    verdict=not-there
    for place in $2; do
        in_memory "$place" || continue
        directory=$place/$3
        # Where none was armed, this keeps one from it whose start was asked for before, and is late.
        mkdir -p "$directory/off" || exit
        # Atomic: from here on it may thaw nothing.
        mv "$directory/armed" "$directory/off" 2>/dev/null
        [ -d "$directory/off/armed" ] || continue
        pid=''
        { read -r pid <"$directory/off/armed/pid"; } 2>/dev/null
        case ${pid:-none} in
        *[!0-9]*) ;;
        *)
            # It may have ended, and its number may be another's.
            if tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$3"; then
                tries=100
                while all=$(processes) && [ -n "$all" ]; do
                    [ "$tries" -gt 0 ] || { echo "process $pid does not end" >&2; exit 9; }
                    kill -s KILL $all 2>/dev/null
                    tries=$((tries - 1))
                    pause
                done
            fi
            ;;
        esac
        # Only now: it may have been about to.
        verdict=in-time
        [ -s "$directory/off/armed/waits" ] || verdict=has-thawed
        rm -rf "$directory/programs"
    done
    echo "$verdict"
    echo end
    ;;
esac
