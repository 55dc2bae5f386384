"""Owns what the tests of foreign recordings share: a live session, its export to each format, a run of it, a comparison."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from session_tools import WHAT

from rtloop.app.recorded import ReplayRequest, replay_recording
from rtloop.eeg.layout import Kind
from rtloop.model.view import View, fold_all
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.read_open import OpenRecording, open_recording

#: one target of a listening plan
TARGET = """
[[targets]]
name = "{target}"
coil_at = "{coil_at}"
pulses_wanted = {wanted}
"""


def watch_plan(folder: Path, *targets: tuple[str, str, int], signal: str = "") -> Path:
    """A watch plan of (name, coil_at, pulses wanted) as a file."""
    rows = [TARGET.format(target=t, coil_at=c, wanted=n) for t, c, n in targets or (("M1", "C3", 4),)]
    path = folder / "watch.toml"
    path.write_text(
        WHAT.format(name="yesterday", kind="watch", signal=signal) + "".join(rows), encoding="utf-8"
    )
    return path


@dataclass(frozen=True, kw_only=True)
class Live:
    """A session as it was held: its recording, its view, and each trial's (sample, "target/block")."""

    folder: SessionFolder
    plan: Path
    rec: OpenRecording
    view: View
    trials: tuple[tuple[int, str], ...]

    @property
    def data_uv(self) -> np.ndarray:
        """float32[n_samples, n_eeg], µV."""
        eeg = [i for i, c in enumerate(self.rec.channels) if c.kind is Kind.EEG]
        return self.rec.frames(0, self.rec.n_samples)[:, eeg]

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.rec.channels if c.kind is Kind.EEG]

    def blocks(self, folder: Path, only: str) -> Path:
        """The map from the events "pulse M1/run" to the block ``only``; the others are nobody's."""
        path = folder / "blocks.toml"
        rows = [
            f'"pulse {b}" = "{b if b == only else "nobody"}"' for b in sorted({b for _, b in self.trials})
        ]
        path.write_text("[pulses]\n" + "\n".join(rows) + "\n", encoding="utf-8")
        return path


def live_of(folder: SessionFolder, plan: Path) -> Live:
    """A session folder as ground to compare with."""
    events = read_journal(folder.journal).events
    return Live(
        folder=folder, plan=plan, rec=open_recording(folder.recording), view=fold_all(events),
        trials=tuple((int(e.data["sample"]), f"{e.data['target']}/{e.data['block']}")
                     for e in events if e.kind == "trial_judged"),
    )  # fmt: skip


def numbered(live: Live, folder: Path) -> Path:
    """The map that deals the pulses by their number, as the journal says."""
    rows = [f'"{i}" = "{block}"' for i, (_, block) in enumerate(live.trials, start=1)]
    path = folder / "numbers.toml"
    path.write_text("[numbers]\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def mne_raw(data_uv: np.ndarray, names: list[str], rate_hz: float, events: list[tuple[int, str]]) -> Any:
    """An mne Raw of EEG (``data_uv`` [n_samples, n]) with annotations at samples."""
    import mne

    raw = mne.io.RawArray(
        data_uv.T.astype(float) * 1e-6, mne.create_info(names, rate_hz, "eeg"), verbose="error"
    )
    at, texts = [s / rate_hz for s, _ in events], [t for _, t in events]
    raw.set_annotations(mne.Annotations(at, [0.0] * len(at), texts))
    return raw


def export(live: Live, folder: Path, form: str) -> Path:
    """The session as a file of another program, a marker "pulse TARGET/BLOCK" at each pulse."""
    marks = [(s, f"pulse {block}") for s, block in live.trials]
    data, names, rate_hz = live.data_uv, live.names, live.rec.rate_hz
    path = folder / f"a{'_raw' if form == '.fif' else ''}{form}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if form == ".vhdr":
            import pybv

            pybv.write_brainvision(
                data=data.T.astype(float) * 1e-6, sfreq=rate_hz, ch_names=names, fname_base="a", folder_out=str(folder),
                events=[{"onset": s, "duration": 1, "type": "Comment", "description": t, "channels": "all"} for s, t in marks],
                unit="µV", fmt="binary_float32", resolution=1.0,
            )  # fmt: skip
        elif form == ".set":
            _save_set(path, data, names, rate_hz, marks)
        else:
            raw = mne_raw(data, names, rate_hz, marks)
            if form == ".fif":
                raw.save(path, verbose="error")
            else:
                raw.export(path, physical_range="channelwise", verbose="error")
    return path


def run(
    file: Path | tuple[Path, ...], plan: Path, data_dir: Path, **more: Any
) -> tuple[View, list[str], dict[str, Any]]:
    """``rtloop replay FILE --plan``: the view of what it left, what it said, its JSON values."""
    said: list[str] = []
    files = file if isinstance(file, tuple) else (file,)
    request = ReplayRequest(files=files, plan=str(plan), data_dir=data_dir, **more)
    text, data, code = replay_recording(request, said.append)
    assert code == 0, text
    view = fold_all(read_journal(SessionFolder(path=Path(data["folder"])).journal).events)
    return view, [*said, *text.splitlines()], data


def values(view: View) -> dict[str, dict[str, float]]:
    """Block -> every score's value by its path."""
    out: dict[str, dict[str, float]] = {}
    for key, t in view.targets.items():
        if t.scores is not None:
            flat: dict[str, float] = {}
            _flatten(t.scores, "", flat)
            out[key] = flat
    return out


def _flatten(node: Any, path: str, out: dict[str, float]) -> None:
    if isinstance(node, Mapping):
        if "value" in node and "low" in node:
            if node["value"] is not None:
                out[path] = float(node["value"])
            return
        for k, v in node.items():
            _flatten(v, f"{path}/{k}", out)


def _save_set(
    path: Path, data_uv: np.ndarray, names: list[str], rate_hz: float, marks: list[tuple[int, str]]
) -> None:
    """An EEGLAB file with its samples inside: float32 µV, latencies counted from 1."""
    from scipy.io import savemat

    places = np.array([(n,) for n in names], dtype=[("labels", object)])
    events = np.array([(float(s + 1), t) for s, t in marks], dtype=[("latency", object), ("type", object)])
    n = len(data_uv)
    eeg = {
        "setname": "a", "nbchan": len(names), "pnts": n, "trials": 1, "srate": rate_hz, "xmin": 0.0,
        "xmax": (n - 1) / rate_hz, "data": data_uv.T, "chanlocs": places, "event": events, "epoch": [], "ref": "common",
    }  # fmt: skip
    savemat(path, {"EEG": eeg}, appendmat=False)
