#!/bin/sh
# A week with two pairs of directories, at simulated times: conflicts, a deletion by mistake, a disk
# that is not mounted, a schedule, and the page. It prints each command and its output.
#
#   tests/tour.sh DIRECTORY    everything is created in DIRECTORY, which must be empty
#
# Requires syncmgr in PATH, and faketime (Debian: faketime).
set -eu
cd "$1"
export SYNCMGR_STATE_DIR="$PWD/state" NO_COLOR=1 TZ=UTC
# Time limits, waits and the times of files are real.
export FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1
now=

day() {
    printf '\n# %s\n' "$1"
    now=$2
}

# Prints a command, and runs it at the simulated time.
run() {
    printf '$ %s\n' "$*"
    status=0
    faketime -f "@$now" "$@" || status=$?
    if [ "$status" -ne 0 ]; then echo "(status $status)"; fi
}

# Writes a text to a file at the simulated time.
write() {
    printf '$ echo %s > %s\n' "$2" "$1"
    echo "$2" >"$1"
    touch -d "$now" "$1"
}

mkdir -p docs photos disk/docs disk/photos
cat >week.toml <<'EOF'
plugin = "folder"
schedule = "0 9 * * *"

[items.docs]
name = "Documents"
dirs = { left = "docs", right = "disk/docs" }

[items.photos]
name = "Photos"
dirs = { left = "photos", right = "disk/photos" }
EOF

day 'Monday: the first sync' '2026-11-23 09:00:00'
write docs/letter.txt 'Dear Sir or Madam'
write docs/budget.txt '100'
write photos/sea.raw 'blue'
write photos/wood.raw 'green'
run syncmgr run --job week.toml --dry-run
run syncmgr run --job week.toml
echo '$ syncmgr schedule enable week.toml --print | grep OnCalendar'
faketime -f "@$now" syncmgr schedule enable week.toml --print | grep OnCalendar

day 'Tuesday: changes on both sides' '2026-11-24 09:00:00'
write docs/notes.txt 'call back'
write disk/photos/city.raw 'grey'
run syncmgr run --job week.toml --verbose

day 'Wednesday: the same file on both sides' '2026-11-25 08:00:00'
write docs/budget.txt '120'
now='2026-11-25 08:30:00'
write disk/docs/budget.txt '150'
now='2026-11-25 09:00:00'
run syncmgr run --job week.toml
run syncmgr status
run syncmgr conflicts

day 'Thursday: the conflict is settled' '2026-11-26 08:45:00'
run syncmgr resolve Documents budget.txt --diff
run syncmgr resolve Documents budget.txt --keep left
now='2026-11-26 09:00:00'
run syncmgr run --job week.toml
run cat disk/docs/budget.txt

day 'Friday: a file is deleted by mistake' '2026-11-27 09:00:00'
run rm photos/sea.raw
run syncmgr run --job week.toml
now='2026-11-27 17:00:00'
run syncmgr history --path sea.raw
run syncmgr trash list --job week.toml
run syncmgr trash restore --job week.toml sea.raw
run syncmgr run --job week.toml
run cat photos/sea.raw

day 'Saturday: the disk is not mounted' '2026-11-28 09:00:00'
run mv disk disk-elsewhere
run mkdir -p disk/docs disk/photos
run syncmgr run --job week.toml
run rm -r disk
run mv disk-elsewhere disk

day 'Sunday: nothing to do' '2026-11-29 09:00:00'
run syncmgr run --job week.toml
now='2026-11-29 12:00:00'
run syncmgr status
run syncmgr history
run syncmgr serve --once >status.html
