#!/bin/bash
# Runs the unit tests on the Python of a newer Debian, in a root of its
# own below .roots/: `tests/debian.sh trixie` (Python 3.13), `tests/debian.sh sid` (3.14).
# Needs root, debootstrap and the packages of the make target "dev". Further arguments
# are those of pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:?name a Debian suite: trixie or sid}
shift
root=$PWD/.roots/$suite
packages=python3,python3-venv,ca-certificates,iproute2,nftables,ethtool,iperf3,nginx-light,curl,iputils-ping,procps,e2fsprogs,git,gcc,libc6-dev,strace,faketime,systemd

if [ "$(cat "$root/.complete" 2>/dev/null)" != "$packages" ]; then
    command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
    rm -rf "$root"
    debootstrap --variant=minbase --include="$packages" "$suite" "$root" >/dev/null
    echo "$packages" > "$root/.complete"
fi

version=$(chroot "$root" /usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
.venv/bin/python -m pip download --quiet --disable-pip-version-check --require-hashes \
    --only-binary :all: --python-version "$version" --dest "$root/wheels" \
    -r requirements/agent.txt -r requirements/dev.txt
chroot "$root" /usr/bin/python3 -m venv --clear /venv
chroot "$root" sh -c '/venv/bin/python -m pip install --quiet --no-index --no-deps /wheels/*.whl'

rm -rf "$root/src"
mkdir "$root/src"
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- | tar --extract --directory "$root/src"
# Some tests list the files of the repository.
chroot "$root" sh -c 'cd /src && git init --quiet && git add --all'
chroot "$root" env SETUPTOOLS_SCM_PRETEND_VERSION=0.1.0 /venv/bin/python -m pip install --quiet \
    --no-index --no-build-isolation --no-deps --editable /src

echo "Python $version in Debian $suite"
# The mounts end with this namespace. The root is a mount too, because `ip netns exec`
# changes the propagation of the mount at /.
export root
exec unshare --mount --propagation private bash -euc '
    mount --rbind "$root" "$root"
    cd "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
    exec env --unset=PYTHONPATH QOS_HYPOTHESIS="${QOS_HYPOTHESIS:-default}" HOME=/root PATH="/venv/bin:$PATH" \
        chroot "$root" sh -c "cd /src && exec /venv/bin/python -m pytest -q -m \"unit and not serial\" -n auto --dist loadgroup \"\$@\"" pytest "$@"
' bash "$@"
