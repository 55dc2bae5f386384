"""The output lines of a site file through the real port process: a trigger box fires instead of ``EH``, a stop box stops."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType

import pytest
from contract_tools import EH, Bench, bench

from hardware_sim.magstim import UNLOCK_CODE
from rtloop.app.config import load_site
from rtloop.app.setting import unit_options
from rtloop.model.pulse import Delivery
from rtloop.model.status import Fault


class Box:
    """An output box at a socket: byte 1 sets its output high, byte 0 low; each change acts on the simulated unit."""

    def __init__(self, act: str) -> None:
        self.act, self.bench, self.high, self.edges = act, None, False, 0  # type: str, Bench | None, bool, int
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Box:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._ending.is_set():
            try:
                host, _ = self._listener.accept()
            except TimeoutError:
                continue
            with closing(host):
                host.settimeout(0.05)
                self._listen(host)

    def _listen(self, host: socket.socket) -> None:
        while not self._ending.is_set():
            try:
                data = host.recv(64)
            except TimeoutError:
                continue
            except OSError:
                return
            if not data:
                return
            for byte in data:
                self._set(byte == 1)

    def _set(self, high: bool) -> None:
        rose, self.high = high and not self.high, high
        self.edges += rose
        if self.bench is not None:
            with self.bench.lock():
                now_s = self.bench.clock.now_s()
                if self.act == "trigger" and rose:
                    self.bench.sim.trigger_edge(now_s)
                elif self.act == "stop" and not high:
                    self.bench.sim.stop_input(now_s)


@contextmanager
def desk(tmp_path: Path, act: str, model: str = "200") -> Iterator[tuple[Bench, Box]]:
    with Box(act) as box:
        code = f'unlock_code = "{UNLOCK_CODE}"\n' if "rapid" in model else ""
        table = "trigger" if act == "trigger" else "stop_line"
        site = tmp_path / "rtloop.toml"
        site.write_text(
            f'[unit]\nmodel = "{model}"\n{code}[unit.{table}]\nport = "{box.port}"\nby = "byte"\n'
        )
        options = unit_options(load_site(site, environ={}))
        with bench("socket", tmp_path, model=model, arming_s=0.1, power_pct_mso=40, driver=options) as b:
            box.bench = b
            yield b, box


@pytest.mark.req("R-PERMIT")
@pytest.mark.parametrize("model", ["200", "rapid"])
def test_the_trigger_fires_once_on_a_permit_and_no_fire_command_goes_out(tmp_path: Path, model: str) -> None:
    with desk(tmp_path, "trigger", model) as (b, box):
        b.ready(40)
        assert b.unit.fire(b.permit(40, key=b"z" * 32)).delivery is Delivery.NOT_DELIVERED
        assert (box.edges, b.discharges) == (0, 0)
        receipt = b.unit.fire(b.permit(40))
        assert receipt.delivery is Delivery.DELIVERED, receipt
        b.sleep(0.2)
        assert (box.edges, b.discharges, b.sent(EH), box.high) == (1, 1, [], False)
    assert not box.high


@pytest.mark.req("R-UNCERTAIN")
def test_a_trigger_cable_that_fell_out_is_uncertain_and_trips(tmp_path: Path) -> None:
    with desk(tmp_path, "trigger") as (b, box):
        b.ready(40)
        box.bench = None  # the box is told; nothing reaches the unit
        receipt = b.unit.fire(b.permit(40))
        assert receipt.delivery is Delivery.UNCERTAIN, receipt
        b.until(
            lambda: b.unit.trouble() is not None, within_s=20.0
        )  # the word of the trip comes after the receipt
        assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE
        b.until(lambda: not b.armed(), within_s=1.0)


@pytest.mark.req("R-STOP")
def test_a_stop_goes_out_on_the_stop_line_too_and_is_let_go_for_work_only(tmp_path: Path) -> None:
    with desk(tmp_path, "stop") as (b, box):
        assert not box.high  # from opening until the unit is to work: low stops
        b.ready(40)
        assert box.high
        asked_s = time.monotonic()
        b.board.ask_stop()
        b.until(lambda: not box.high, within_s=0.3)
        assert time.monotonic() - asked_s < 0.3
        assert not b.armed()
        assert b.unit.fire(b.permit(40)).delivery is Delivery.NOT_DELIVERED
