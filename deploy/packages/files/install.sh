#!/bin/sh
# Installs QoS Agent @VERSION@ on a system with systemd and without dpkg:
#   sudo sh FILE            install or upgrade
#   sudo sh FILE --remove   remove the program, keep readings and settings
# The compressed files follow the last line of this script.
set -e

refuse() {
    echo "qos-agent: $1" >&2
    exit 1
}

stop_and_remove() {
    systemctl disable --now qos-agent.service 2>/dev/null || true
    rm -f /usr/bin/qos-agent /usr/bin/qos-agent.new /usr/lib/systemd/system/qos-agent*.service \
        /usr/lib/systemd/system/qos-agent*.timer /usr/lib/systemd/system/qos-agent*.qos-new \
        /usr/lib/sysctl.d/50-qos-agent.conf /usr/lib/sysusers.d/qos-agent.conf \
        /usr/share/polkit-1/rules.d/50-qos-agent-modem.rules
    rm -rf /usr/lib/qos-agent /usr/lib/qos-agent.?????? /usr/share/qos-agent /usr/share/doc/qos-agent
    systemctl daemon-reload
    echo "qos-agent: removed. The readings stay in /var/lib/qos-agent"
}

[ "$(id -u)" = 0 ] || refuse "needs root. Fix: sudo sh $0"
if dpkg-query -W qos-agent >/dev/null 2>&1; then
    refuse "the Debian package is installed. Fix: use the .deb file"
fi
if [ "$1" = --remove ]; then
    stop_and_remove
    exit 0
fi
[ "$(uname -m)" = "@MACHINE@" ] || refuse "this file is for @MACHINE@, and this processor is $(uname -m)"
[ -d /run/systemd/system ] || refuse "needs systemd"
/usr/bin/python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' ||
    refuse "needs Python 3.11 to 3.14 as /usr/bin/python3"
if [ -x /usr/bin/qos-agent ]; then
    answer=$(LC_ALL=C timeout 60 /usr/bin/qos-agent maintenance 2>/dev/null) || true
    case $answer in
    refused:*) refuse "$answer" ;;
    esac
fi

# Exchange two folders in one step, so that a power cut leaves one of them in place.
exchange() {
    /usr/bin/python3 -c 'import ctypes, sys
here, swap = -100, 2  # AT_FDCWD and RENAME_EXCHANGE, renameat2(2)
first, second = (name.encode() for name in sys.argv[1:])
sys.exit(ctypes.CDLL(None).renameat2(here, first, here, second, swap) != 0)' "$1" "$2"
}

# Each file is written next to the earlier one and then renamed.
replace_files() {
    for file in $(find usr -type f); do
        mkdir -p "/${file%/*}"
        cp -a "$file" "/$file.qos-new"
    done
    sync
    for file in $(find usr -type f); do
        mv -f "/$file.qos-new" "/$file"
    done
}

# The program is replaced last and in one step, so that an interrupted installation
# leaves the old version working.
umask 022
# A power cut may have left the folder of an earlier attempt.
rm -rf /usr/lib/qos-agent.??????
work=$(mktemp -d /usr/lib/qos-agent.XXXXXX)
trap 'rm -rf "$work"' EXIT
tail -n +@FIRST@ "$0" | xz -dc | tar -x -C "$work"
mkdir -p /usr/lib/qos-agent
rm -rf @FOLDER@.new
mv "$work@FOLDER@" @FOLDER@.new
sync
if [ ! -e @FOLDER@ ]; then
    mv @FOLDER@.new @FOLDER@
elif ! exchange @FOLDER@.new @FOLDER@; then
    rm -rf @FOLDER@
    mv @FOLDER@.new @FOLDER@
fi
mv "$work/usr/bin/qos-agent" /usr/bin/qos-agent.new
rm -rf "$work/usr/lib/qos-agent" "$work/usr/bin"
(cd "$work" && replace_files)
sync
mv /usr/bin/qos-agent.new /usr/bin/qos-agent
sync
@FOLDER@/configure
systemctl try-restart qos-agent.service || true
[ -e /etc/qos-agent/agent.toml ] || echo "qos-agent: installed. Next: sudo qos-agent setup"
exit 0
