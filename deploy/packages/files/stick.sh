#!/bin/sh
# Installs QoS Agent from this folder, such as a USB stick, and sets the device up:
#   sudo sh /mnt/install.sh [OPTIONS OF qos-agent setup]
# setup.toml in the same folder has the answers that all devices share. On a device that
# is set up already, the new version is installed and checked.
set -e
folder=$(cd "$(dirname "$0")" && pwd)

refuse() {
    echo "qos-agent: $1" >&2
    exit 1
}

# A 64-bit kernel may run a 32-bit system, so dpkg knows it better than uname.
suffix() {
    if command -v dpkg >/dev/null; then
        echo "$(dpkg --print-architecture).deb"
        return
    fi
    case $(uname -m) in
    x86_64) echo amd64.run ;;
    aarch64) echo arm64.run ;;
    *) echo armhf.run ;;
    esac
}

# A stick that was pulled out too early has damaged files.
check() {
    line=$(grep -F "  $1" "$folder/SHA256SUMS") ||
        refuse "$folder/SHA256SUMS does not name $1. Fix: copy both to the stick again"
    echo "$line" | (cd "$folder" && sha256sum --check --status -) ||
        refuse "$folder/$1 is damaged. Fix: copy it to the stick again"
}

[ "$(id -u)" = 0 ] || refuse "needs root. Fix: sudo sh $0"
wanted=$(suffix)
file=$(cd "$folder" && find . -maxdepth 1 -name "qos-agent_*_$wanted" | sort -V | tail -n 1)
file=${file#./}
[ -n "$file" ] || refuse "this device needs a file qos-agent_*_$wanted, and $folder has none"
check "$file"
case $file in
*.deb) dpkg --install "$folder/$file" ;;
*) sh "$folder/$file" ;;
esac
# With this file, the device upgrades itself from the repository later.
if [ -e "$folder/qos-agent.sources" ] && [ -d /etc/apt/sources.list.d ]; then
    install -m 644 "$folder/qos-agent.sources" /etc/apt/sources.list.d/
fi
if [ $# = 0 ] && [ -e /etc/qos-agent/agent.toml ]; then
    exec /usr/bin/qos-agent doctor
fi
if [ -e "$folder/setup.toml" ]; then
    set -- --preseed "$folder/setup.toml" "$@"
fi
exec /usr/bin/qos-agent setup "$@"
