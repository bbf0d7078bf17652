"""Cross-builds psutil for ARMv7, the one library without a wheel for it.

psutil uses Python's stable interface, so one module serves every Python. The headers
of the building Python differ from those of a 32-bit one in the sizes of types only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

# 1 January 1980, the first day that a zip file can store.
_EPOCH = "315532800"
_COMPILER = "arm-linux-gnueabihf-gcc"
_FOUR_BYTES = re.compile(r"(#define SIZEOF_(?:LONG|VOID_P|SIZE_T|UINTPTR_T)) 8")
INSTALL = "apt-get install gcc-arm-linux-gnueabihf libc6-dev-armhf-cross"


def has_compiler() -> bool:
    """Return True if the cross compiler is installed."""
    return shutil.which(_COMPILER) is not None


def build_psutil(source: Path, folder: Path) -> Path:
    """Return the wheel that is built from psutil's source archive."""
    built = sorted(folder.glob("psutil-*.whl"))
    if built and built[0].name.split("-")[1] == source.name.split("-")[1][:-7]:
        return built[0]
    if not has_compiler():
        sys.exit(f"{_COMPILER}: missing. Fix: {INSTALL}.")
    with tempfile.TemporaryDirectory() as temporary:
        headers = _headers(Path(temporary) / "include")
        environment = os.environ | {
            "CC": _COMPILER,
            "LDSHARED": f"{_COMPILER} -shared",
            "CFLAGS": f"-I{headers} -O2 -g0 -ffile-prefix-map={temporary}=.",
            "_PYTHON_HOST_PLATFORM": "linux-armv7l",
            # The time of all files in the wheel, so that its hash is always the same.
            "SOURCE_DATE_EPOCH": _EPOCH,
            "TMPDIR": temporary,
        }
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
                *("--disable-pip-version-check", "--no-build-isolation", "--no-index"),
                *("--no-cache-dir", f"--wheel-dir={folder}", str(source)),
            ],
            env=environment,
            check=True,
        )
    (wheel,) = folder.glob("psutil-*.whl")
    return wheel


def _headers(folder: Path) -> Path:
    """Copy Python's headers with the sizes of a 32-bit processor."""
    shutil.copytree(sysconfig.get_paths()["include"], folder)
    config = Path(sysconfig.get_config_h_filename()).read_text(encoding="utf-8")
    (folder / "pyconfig.h").write_text(_FOUR_BYTES.sub(r"\1 4", config))
    return folder
