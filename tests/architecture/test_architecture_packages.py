"""The distribution's shape: its packages are its own, its contracts hold, its help is light."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rtloop", "drivers", "gui", "hardware_sim")


def test_the_four_package_names_belong_to_this_distribution_alone() -> None:
    owners = importlib.metadata.packages_distributions()
    for name in PACKAGES:
        assert set(owners.get(name, ["rtloop"])) == {"rtloop"}, f"{name} is also shipped by {owners[name]}"


def test_every_package_folder_is_listed_for_the_build() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {
        ".".join(p.parent.relative_to(ROOT).parts)
        for name in PACKAGES
        for p in (ROOT / name).rglob("__init__.py")
    }
    assert found == listed


def test_help_imports_nothing_scientific() -> None:
    code = (
        "import sys\n"
        "from rtloop.app.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as e:\n    assert not e.code, e.code\n"
        "heavy = {'numpy','scipy','numba','pylsl','matplotlib','mne','pydantic','jinja2','serial','magpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for command in (
        "map",
        "probe",
        "watch",
        "check",
        "sim",
        "streams",
        "doctor",
        "verify",
        "replay",
        "report",
        "stop",
    ):
        assert command in done.stdout


def test_no_clock_is_read_outside_the_clock_module() -> None:
    offenders = []
    for name in ("rtloop", "drivers", "hardware_sim"):
        for path in (ROOT / name).rglob("*.py"):
            if path.relative_to(ROOT).as_posix() == "rtloop/clock.py":
                continue
            text = path.read_text()
            for call in (
                "time.monotonic(",
                "time.time(",
                "time.perf_counter(",
                "datetime.now(",
                "perf_counter_ns(",
            ):
                if call in text:
                    offenders.append(f"{path.relative_to(ROOT)}: {call}")
    assert not offenders, offenders


def test_the_constraints_file_pins_versions_and_names_no_address() -> None:
    text = (ROOT / "constraints.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) > 20
    assert all("==" in line and "://" not in line and "@" not in line for line in lines)


def test_only_the_gate_mints_permits() -> None:
    minting = [
        str(p.relative_to(ROOT))
        for name in ("rtloop", "drivers", "gui", "hardware_sim")
        for p in (ROOT / name).rglob("*.py")
        if "seal_for(" in p.read_text()
    ]
    assert sorted(minting) == ["rtloop/ports.py", "rtloop/safety/gate.py"]
