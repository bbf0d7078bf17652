#!/bin/bash
# Runs the installation tests on booted devices with another Debian: `tests/device.sh
# trixie` (Python 3.13), `tests/device.sh sid` (3.14). Needs root, debootstrap and the
# packages of the make target "dev". The Debian is kept below .roots/. Further arguments
# are those of pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:?name a Debian suite: trixie or sid}
shift
root=$PWD/.roots/device-$suite
packages=systemd,systemd-sysv,dbus,python3,iproute2,procps,strace,xz-utils,openssl,ca-certificates

if [ "$(cat "$root/.complete" 2>/dev/null)" != "$packages" ]; then
    command -v debootstrap >/dev/null || { echo "debootstrap: missing. Fix: apt-get install debootstrap" >&2; exit 1; }
    rm -rf "$root"
    debootstrap --variant=minbase --include="$packages" "$suite" "$root" >/dev/null
    echo "$packages" > "$root/.complete"
fi
echo "Python $(chroot "$root" /usr/bin/python3 -c 'import sys; print(sys.version.split()[0])') in Debian $suite"
QOS_DEVICE_ROOT=$root exec "${PYTHON:-.venv/bin/python}" -m pytest -q \
    tests/deploy/test_first_installation.py tests/deploy/test_installation.py \
    tests/deploy/test_upgrade.py "$@"
