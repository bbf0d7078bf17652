#!/bin/sh
# Builds the wheel and installs it in a clean environment outside this folder, to find
# files that the package lacks. Usage: tests/wheel.sh PYTHON
set -eu
python=$1
root=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/$python" -m build --wheel --no-isolation --outdir "$work/dist" "$root" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
"$root/$python" -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check \
    --require-hashes -r "$root/requirements/agent.txt"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-deps "$work"/dist/*.whl
cd "$work"
env/bin/qos-agent --help >/dev/null
env/bin/qos-agent config init agent.toml
env/bin/qos-agent config check -c agent.toml
env/bin/qos-agent election check 2024-02-14 >/dev/null
env/bin/python -c 'import qos_agent, sys; sys.exit("/site-packages/" not in qos_agent.__file__)'
echo "wheel: $(basename "$work"/dist/*.whl) installs and starts in a clean environment"
