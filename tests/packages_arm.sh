#!/bin/bash
# Unpacks the packages for ARM into a Debian of their processor and runs the agent under
# qemu: `tests/packages_arm.sh dist`. Needs root, debootstrap and qemu-user-static. The
# Debian files are kept below .roots/.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:?name the folder with the packages}
for tool in debootstrap qemu-arm-static qemu-aarch64-static; do
    command -v "$tool" >/dev/null || { echo "$tool: missing. Fix: apt-get install debootstrap qemu-user-static" >&2; exit 1; }
done

run() { # ARCHITECTURE QEMU
    local root=$PWD/.roots/bookworm-$1
    if [ ! -e "$root/.complete" ]; then
        rm -rf "$root"
        # The second stage would need qemu for each program, and only files are needed.
        debootstrap --foreign --variant=minbase --arch="$1" --include=python3 bookworm "$root" >/dev/null
        for package in "$root"/var/cache/apt/archives/*.deb; do
            dpkg-deb --extract "$package" "$root"
        done
        touch "$root/.complete"
    fi
    rm -rf "$root/usr/lib/qos-agent"
    dpkg-deb --extract "$folder"/qos-agent_*_"$1".deb "$root"
    cp "$(command -v "$2")" "$root/qemu"
    mkdir -p "$root/etc/qos-agent" "$root/tmp"
    local modules
    modules=/$(cd "$root" && echo usr/lib/qos-agent/*)
    # The mount ends with this namespace.
    inside() {
        unshare --mount --propagation private sh -ec \
            'mount -t proc proc "$0/proc"; exec chroot "$0" /qemu /usr/bin/python3 "$@"' "$root" "$@"
    }
    export PYTHONPATH=$modules PYTHONSAFEPATH=1
    echo "$1: $(inside -c 'import platform, sys; print(platform.machine(), "Python", sys.version.split()[0])')"
    inside -m qos_agent --version
    inside -m qos_agent config init - >"$root/etc/qos-agent/agent.toml"
    inside -m qos_agent config check
    # The compiled libraries compute, and do not only load.
    inside -c 'import psutil, pydantic_core; assert psutil.virtual_memory().total > 0; assert psutil.net_if_addrs() is not None; print("psutil", psutil.__version__, "pydantic_core", pydantic_core.__version__)'
    inside -m qos_agent election check 2024-02-14 >/dev/null
}

run armhf qemu-arm-static
run arm64 qemu-aarch64-static
