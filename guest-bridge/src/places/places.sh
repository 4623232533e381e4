# Where things lie in a guest, and marks on its filesystems, for stillpoint. Plain POSIX sh (dash, busybox), given to `sh -c` by guest-exec.
# Nothing from outside is ever part of this text: words come as arguments, paths as standard input, one a line.
#   look MOUNTINFO BY_UUID LINKS    input: paths. Prints the mounts, --, their devices by UUID, --, what each path is, what links lead out of
#                                   them (LINKS at most), --, each loop device with its file, end.
#   mark NAME SECONDS               input: DEVICE ST_DEV MOUNTPOINT. Prints `keeps CENTISECONDS` for each setting of how long what is written
#                                   may stay in memory; writes a marker NAME into each, and prints `ok NUMBER INODE` or `no NUMBER WHY`, in
#                                   any order; nothing of one that gives no answer in time. ST_DEV is - where it tells nothing.
#   unmark NAME SECONDS             input: mountpoints, an empty line, paths. Removes the markers, and prints the same, INODE 1 where one was
#                                   there and 0 where none was; then --, what each path is, end.
# What a path is: `at ST_DEV INODE KIND REAL_PATH`, KIND d or -, symlinks followed; or `not WHY`.
set -u
umask 077
export LC_ALL=C PATH="${PATH:-}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
newline='
'

# Prints the end of what a program said, as one short line.
reason() {
    why=${1%%"$newline"*}
    printf '%s %.200s\n' "$2" "${why##*: }"
}

tell() {
    if ! at=$(stat -L -c '%d %i' -- "$1" 2>&1); then
        reason "$at" not
        return
    fi
    # The dot keeps a line break at the end of a name.
    real=$(readlink -f -- "$1" && echo .)
    real=${real%"$newline".}
    kind=-
    [ -d "$1" ] && kind=d
    case $real in
    *"$newline"*) echo "not its path has a line break" ;;
    /*) printf 'at %s %s %s\n' "$at" "$kind" "$real" ;;
    *) echo "not readlink -f does not tell its path" ;;
    esac
}

# What leads out of folder $1 by a link at most $2 below it. Of a folder that a link leads to, also what leads out of that.
links() {
    folder=$(readlink -f -- "$1")
    # A name with a line break is read as two, and no link.
    { find -H "$1" -xdev -maxdepth "$2" -type l 2>/dev/null || echo; } | while IFS= read -r link; do
        [ -L "$link" ] || { echo more; continue; }
        case $(readlink -f -- "$link" 2>/dev/null)/ in
        "${folder%/}"/*) [ -e "$link" ] && continue ;;
        esac
        printf 'link %s\n' "$link" || exit
        tell "$link"
        # A shell of its own: functions share their variables.
        [ "$2" -gt 1 ] && [ -d "$link" ] && (links "$link" 1)
    done
}

# Does $2 with the number and the text of each line of the input up to an empty one, side by side: one that hangs keeps no other. What is
# not said within $1 seconds is not waited for. Only the pipe between the two sides is held by those that hang.
each() {
    {
        # Not as a redirection of the whole: a shell keeps the other stderr open for behind it, and whatever hangs then holds it.
        exec 2>/dev/null
        number=0
        while IFS= read -r line && [ -n "$line" ]; do
            (
                trap '' PIPE
                "$2" "$number" "$line"
            ) </dev/null &
            number=$((number + 1))
        done
        (
            sleep "$1" &
            trap 'kill $!; exit' TERM
            wait $!
            echo late
        ) </dev/null &
        echo "all $number $!"
    } | {
        answered=0 number= timer=
        while [ "$answered" != "$number" ] && IFS= read -r said; do
            case $said in
            all\ *)
                set -- $said
                number=$2 timer=$3
                ;;
            late) break ;;
            *)
                printf '%s\n' "$said"
                answered=$((answered + 1))
                ;;
            esac
        done
        [ -n "$timer" ] && kill "$timer" 2>/dev/null
    }
}

mark() {
    device=${2%% *} point=${2#* }
    st_dev=${point%% *} point=${point#* }
    file=${point%/}/$name text="stillpoint marker $device $name"
    found=$(stat -L -c %d -- "${point%/}/." 2>&1) || {
        reason "$found" "no $1"
        return
    }
    [ "$st_dev" = - ] || [ "$st_dev" = "$found" ] || {
        echo "no $1 another filesystem is mounted over it"
        return
    }
    # A redirection that fails ends a shell with another status than 9. -C: it does not take what is there.
    why=$(
        set -C
        exec 2>&1 3>"$file"
        # Of cat, because a shell says no more than "I/O error" of a full filesystem.
        echo "$text" | cat >&3 || exit 9
    )
    case $?,$why in
    0,*) ;;
    9,*)
        rm -f -- "$file"
        reason "$why" "no $1"
        return
        ;;
    *)
        reason "$why" "no $1"
        return
        ;;
    esac
    if [ "$(cat "$file" 2>/dev/null)" = "$text" ] && inode=$(stat -c %i -- "$file" 2>/dev/null); then
        # Nobody waits for it any more: nobody would remove it.
        echo "ok $1 $inode" || rm -f -- "$file"
    else
        rm -f -- "$file"
        echo "no $1 what was written cannot be read"
    fi
}

unmark() {
    file=${2%/}/$name
    if ! { [ -e "$file" ] || [ -L "$file" ]; }; then
        echo "ok $1 0"
    elif why=$(rm -f -- "$file" 2>&1); then
        echo "ok $1 1"
    else
        reason "$why" "no $1"
    fi
}

case $1 in
look)
    cat "$2" || exit
    echo --
    stat -L -c '%t %T %n' -- "$3"/* 2>/dev/null
    # What btrfs lies on: it has no device number of its own.
    while read -r _ _ device _ _ _ rest; do
        case $device,${rest#*- } in
        0:*,btrfs\ /dev/*)
            rest=${rest#*- btrfs }
            stat -L -c '%t %T %n' -- "${rest%% *}" 2>/dev/null
            ;;
        esac
    done <"$2"
    echo --
    folders=
    while IFS= read -r path; do
        tell "$path"
        [ -d "$path" ] && folders=$folders$path$newline
    done
    printf %s "$folders" | while IFS= read -r path; do links "$path" 2; done | head -n "$4"
    echo --
    for file in /sys/block/loop*/loop/backing_file; do
        { IFS= read -r number <"${file%/loop/backing_file}/dev" && IFS= read -r file <"$file"; } 2>/dev/null || continue
        printf '%s %s\n' "$number" "$file"
    done
    echo end
    ;;
mark)
    name=$2
    # Through cat: a shell reads a byte at a time, and of a setting the kernel gives no more than the first.
    cat /proc/sys/vm/dirty_expire_centisecs /proc/sys/fs/xfs/xfssyncd_centisecs 2>/dev/null |
        while read -r keeps; do echo "keeps $keeps"; done
    each "$3" mark
    echo end
    ;;
unmark)
    name=$2
    each "$3" unmark
    echo --
    while IFS= read -r path; do tell "$path"; done
    echo end
    ;;
esac
