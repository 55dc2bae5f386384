"""The commissioning record: whole or refused, and what it covers; each thing that differs is told, all at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from commission_tools import good, here, site_file, site_in

from rtloop.app import commissioned as binding
from rtloop.app.commissioned import _sources as commissioned_sources
from rtloop.app.commissioned import covered, records_folder, software_bound
from rtloop.app.config import Site, load_site
from rtloop.clock import WALL
from rtloop.errors import IntegrityProblem, ValidationProblem
from rtloop.model.status import UnitIdentity
from rtloop.record.commissioning import (
    Record,
    SoftwareBound,
    StreamBound,
    UnitBound,
    commissioned,
    read_record,
    write_record,
)

NOW = WALL.utc()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_in(tmp_path)


def later(days: float) -> str:
    return (datetime.fromisoformat(NOW) + timedelta(days=days)).isoformat(timespec="milliseconds")


def without(name: str) -> Callable[[Record], Record]:
    return lambda r: replace(r, steps=tuple(s for s in r.steps if s.step != name)).sealed()


def failed(name: str) -> Callable[[Record], Record]:
    return lambda r: replace(
        r, steps=tuple(replace(s, passed=s.passed and s.step != name) for s in r.steps)
    ).sealed()


def test_a_good_record_covers_what_it_was_made_on(site: Site) -> None:
    assert commissioned(good(site), NOW, here(site)) == ()


def test_without_a_record_the_reason_says_what_to_run(site: Site) -> None:
    (reason,) = commissioned(None, NOW, here(site))
    assert "rtloop commission" in reason


@pytest.mark.req("R-MODE")
@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda r: replace(r, mode="SIMULATED").sealed(), "SIMULATED"),
        (lambda r: replace(r, mode="HUMAN").sealed(), "HUMAN"),
        (lambda r: replace(r, signatory="Somebody Else"), "altered"),
        (lambda r: replace(r, sha256=""), "altered"),
        (lambda r: replace(r, signature="").sealed(), "not signed"),
        (lambda r: replace(r, signature="ada example").sealed(), "not signed"),
        (lambda r: replace(r, signatory=" ", signature=" ").sealed(), "not signed"),
        (lambda r: replace(r, schema=1).sealed(), "form of the record"),
        (lambda r: replace(r, signed_utc=later(-366)).sealed(), "date"),
        (lambda r: replace(r, signed_utc=later(2)).sealed(), "date"),
        (lambda r: replace(r, signed_utc="yesterday").sealed(), "date"),
        (lambda r: replace(r, signed_utc="2026-11-22").sealed(), "date"),  # no time zone: not comparable, not trusted
        (lambda r: replace(r, software=SoftwareBound(version="0.0", source_sha256=r.software.source_sha256)).sealed(),
         "software version"),
        (lambda r: replace(r, software=replace(r.software, source_sha256="0" * 64)).sealed(), "source"),
        (lambda r: replace(r, unit=replace(r.unit, model="rapid")).sealed(), "unit model"),
        (lambda r: replace(r, unit=replace(r.unit, port_identity="COM9")).sealed(), "port"),
        (lambda r: replace(r, unit=replace(r.unit, firmware="9.0")).sealed(), "firmware"),
        (lambda r: replace(r, unit=replace(r.unit, supply_v=115)).sealed(), "mains supply"),
        (lambda r: replace(r, unit=replace(r.unit, trigger="RTS on COM8")).sealed(), "trigger line"),
        (lambda r: replace(r, unit=replace(r.unit, stop_line="RTS on COM9, low stops")).sealed(), "STOP line"),
        (lambda r: replace(r, stream=replace(r.stream, source_id="other")).sealed(), "amplifier stream"),
        (lambda r: replace(r, limits=replace(r.limits, sha256="0" * 64)).sealed(), "limits"),
        (lambda r: replace(r, limits=replace(r.limits, unverified=("max_power_pct_mso",))).sealed(), "verified by nobody"),
        *[(without(n), f"step {n}: not done") for n in ("identity", "pulses", "stop", "unplug", "engine_frozen")],
        *[(failed(n), f"step {n}: not passed") for n in ("power", "engine_killed", "hardware_stop")],
        (lambda r: replace(r, unit=replace(r.unit, trains=True)).sealed(), "train_and_disarm"),
        (lambda r: replace(r, unit=replace(r.unit, pairs=True)).sealed(), "pair_setting"),
        (lambda r: replace(r, steps=tuple(replace(s, numbers={"pulses_seen": 9.0}) for s in r.steps)).sealed(), "fewer than 10"),
        (lambda r: replace(r, steps=tuple(replace(s, numbers={}) for s in r.steps)).sealed(), "fewer than 10"),
    ],
)  # fmt: skip
def test_whatever_differs_refuses_with_its_reason(
    site: Site, spoil: Callable[[Record], Record], part: str
) -> None:
    reasons = commissioned(spoil(good(site)), NOW, here(site))
    assert any(part in r for r in reasons), reasons


def test_a_step_that_failed_is_not_made_good_by_doing_it_again_in_the_same_record(site: Site) -> None:
    record = good(site)
    stop = next(s for s in record.steps if s.step == "stop")
    twice = replace(record, steps=(*record.steps, replace(stop, passed=False))).sealed()
    assert twice.missing == ("stop: not passed",)


@pytest.mark.req("R-MODE")
@pytest.mark.req("R-UNIT")
@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"software": SoftwareBound(version="9.9", source_sha256="1" * 64)}, "9.9"),
        ({"model": "bistim"}, "bistim"),
        ({"port_identity": "USB 0403:6001 B2"}, "B2"),
        ({"firmware": "8.1"}, "8.1"),
        ({"supply_v": 115}, "115"),
        ({"trigger": "byte 1 high, 0 low, on COM8"}, "COM8"),
        ({"stop_line": "RTS on COM9, high stops"}, "high stops"),
        ({"stream": StreamBound(name="amp", source_id="amp-1", rate_hz=5000.0, channels=9)}, "5000.0"),
    ],
)
def test_another_unit_software_or_amplifier_refuses(site: Site, change: dict[str, Any], part: str) -> None:
    reasons = commissioned(good(site), NOW, here(site, **change))
    assert reasons
    assert all(part in r or "sha256" in r for r in reasons)


def test_all_reasons_come_at_once(site: Site) -> None:
    record = replace(good(site), mode="SIMULATED", signature="", steps=()).sealed()
    assert len(commissioned(record, later(400), here(site, model="rapid", port_identity="COM1"))) >= 12


def test_the_days_of_a_site_only_shorten(site: Site) -> None:
    record, connected = good(site), here(site)
    assert commissioned(record, later(200), connected) == ()
    assert commissioned(record, later(200), connected, valid_days=180.0)
    assert commissioned(record, later(400), connected, valid_days=1000.0)
    assert commissioned(record, NOW, connected, valid_days=float("nan"))


# -- the file -----------------------------------------------------------------------------------------------------


def test_a_written_record_is_read_back_whole_and_never_written_over(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "records" / "a.json"
    kept = write_record(path, good(site))
    assert read_record(path) == kept
    with pytest.raises(IntegrityProblem, match="cannot write"):
        write_record(path, good(site))


@pytest.mark.req("R-MODE")
def test_no_byte_of_the_file_can_be_changed_or_lost_unnoticed(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_record(path, good(site))
    raw, chance = path.read_bytes(), random.Random(7)
    for _ in range(300):
        at = chance.randrange(len(raw))
        spoiled = bytearray(raw)
        spoiled[at] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(spoiled))
        with pytest.raises(IntegrityProblem):
            read_record(path)
    for cut in (0, 1, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:cut])
        with pytest.raises(IntegrityProblem):
            read_record(path)
    path.write_bytes(raw)
    assert read_record(path).mode == "BENCH"


def test_the_numbers_of_a_step_cannot_be_no_numbers(site: Site, tmp_path: Path) -> None:
    step = replace(good(site).steps[0], numbers={"x_ms": float("nan")})
    with pytest.raises(ValueError):
        write_record(tmp_path / "a.json", replace(good(site), steps=(step,)))


@pytest.mark.req("R-MODE")
@pytest.mark.req("R-UNIT")
def test_every_source_that_decides_whether_when_and_how_a_pulse_goes_out_is_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = dict(commissioned_sources())
    rtloop = [
        "app/unit_line", "app/commissioned", "app/script_loop", "app/script_person", "app/script_setting", "app/script_unit",
        "app/sitting", "app/wiring", "board", "clock", "eeg/watch", "model/pulse", "ports", "priority", "record/commissioning",
        "safety/gate", "session/arming", "session/loop", "session/vigil", "session/watching",
    ]  # fmt: skip
    names = [*(f"rtloop/{n}.py" for n in rtloop), "drivers/watch.py", "drivers/magstim/magpy_port.py"]
    missing = [n for n in (*names, "rtloop/safety/limits.toml", "MagPy_TMS", "pyserial") if n not in found]
    assert missing == []
    assert found["MagPy_TMS"] == b"1.4"
    before = software_bound()
    for name in names:  # each of them makes another software of it
        changed = found | {name: found[name] + b"#"}
        monkeypatch.setattr(binding, "_sources", lambda changed=changed: list(changed.items()))
        assert software_bound().source_sha256 != before.source_sha256
    monkeypatch.setattr(binding, "_sources", lambda: list(reversed(found.items())))
    assert software_bound() == before


def test_a_record_of_an_earlier_form_says_so(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_record(path, replace(good(site), schema=1))
    with pytest.raises(IntegrityProblem, match=r"form 1.*reads 2"):
        read_record(path)


# -- the look for it at a site ------------------------------------------------------------------------------------


def test_a_site_finds_its_own_record_and_says_who_signed_it(site: Site) -> None:
    assert not covered(site).ok
    write_record(records_folder(site) / "a.json", good(site))
    found = covered(site)
    assert found.ok
    assert "Ada Example" in found.words


def test_a_covering_record_is_found_behind_a_newer_one_that_does_not_cover(site: Site) -> None:
    write_record(records_folder(site) / "a.json", good(site))
    write_record(records_folder(site) / "b.json", replace(good(site), mode="SIMULATED", made_utc=later(1)))
    write_record(
        records_folder(site) / "c.json", good(site, unit=UnitBound(model="rapid", port_identity="", firmware=""))
    )  # fmt: skip
    found = covered(site)
    assert found.ok
    assert found.path == records_folder(site) / "a.json"


@pytest.mark.req("R-MODE")
def test_a_broken_record_is_told_and_covers_nothing(site: Site) -> None:
    path = records_folder(site) / "a.json"
    write_record(path, good(site))
    path.write_bytes(path.read_bytes().replace(b"BENCH", b"HUMAN"))
    found = covered(site)
    assert not found.ok
    assert "cannot be trusted" in " ".join(found.reasons)


@pytest.mark.req("R-MODE")
def test_limits_that_nobody_verified_refuse_whatever_the_record(tmp_path: Path) -> None:
    site = site_in(tmp_path, verified=False)
    write_record(records_folder(site) / "a.json", good(site))
    found = covered(site)
    assert not found.ok
    assert all("verified by nobody" in r for r in found.reasons)
    assert "max_power_pct_mso" in found.words


def test_other_limits_than_at_commissioning_refuse(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    write_record(records_folder(site) / "a.json", good(site))
    path = site_file(tmp_path)
    path.write_text(path.read_text() + "[caps]\nmax_power_pct_mso = 80\n")
    (reason,) = covered(load_site(path, environ={})).reasons
    assert "limits" in reason


@pytest.mark.req("R-MODE")
def test_what_answers_is_held_against_the_record_and_nothing_simulated_is_covered(site: Site) -> None:
    write_record(records_folder(site) / "a.json", good(site))
    found, stream = covered(site), {"name": "amp", "source_id": "amp-1", "rate_hz": 1000.0, "channels": 9}
    real = UnitIdentity(model="200", port=site.unit.port or "", simulated=False)
    assert found.with_devices(real, stream, simulated_eeg=False).ok
    assert not found.with_devices(real, stream, simulated_eeg=True).ok
    assert not found.with_devices(replace(real, simulated=True), stream, simulated_eeg=False).ok
    assert not found.with_devices(replace(real, firmware="9"), stream, simulated_eeg=False).ok
    assert not found.with_devices(real, stream | {"channels": 10}, simulated_eeg=False).ok


def test_a_site_that_verifies_limits_says_who_and_when(tmp_path: Path) -> None:
    path = site_file(tmp_path)
    path.write_text(path.read_text().replace('by = "Ada Example"\n', ""))
    with pytest.raises(ValidationProblem, match="by"):
        load_site(path, environ={})


def test_a_site_cannot_lengthen_the_days_of_a_record(tmp_path: Path) -> None:
    path = site_file(tmp_path)
    path.write_text(path.read_text() + "[commissioning]\nvalid_days = 366\n")
    with pytest.raises(ValidationProblem, match="valid_days"):
        load_site(path, environ={})
