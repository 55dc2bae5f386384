"""Last sample of an epoch -> clean trial -> scores, against scipy and MNE doing the same steps.

Run as a script; prints a table of medians and ratios, asserts nothing about time. ``--long 10000``: only the chain at 64
channels over so many pulses.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import gc
import itertools
import resource
import time
import tracemalloc
from dataclasses import replace

import numpy as np

from rtloop.app.setting import chain_of
from rtloop.dsp.chain import Chain
from rtloop.dsp.spec import ChainSpec
from rtloop.model.montage import HEAD_RADIUS_M, Montage, names_for
from rtloop.model.samples import Epoch
from rtloop.plan.load import load_plan
from rtloop.session.scorer import TargetScorer


def scipy_chain(x, rate_hz, pulse):
    """Cubic bridge, decay fit of every channel, anti-alias and decimate, detrend, reference, three bands."""
    from scipy import optimize, signal

    x = x.astype(float)
    a, b, flank = pulse - round(0.002 * rate_hz), pulse + round(0.012 * rate_hz), round(0.01 * rate_hz)
    known = np.r_[a - flank : a, b + 1 : b + 1 + flank]
    t = np.arange(b + 1, pulse + round(0.15 * rate_hz)) - pulse
    for c in range(x.shape[0]):
        best = optimize.minimize_scalar(
            lambda tau, c=c: np.linalg.lstsq(
                np.stack([(1 + t / tau) ** -2, np.ones(t.size)], axis=1), x[c, t + pulse], rcond=None
            )[1][0],
            bounds=(2, 250), method="bounded", options={"maxiter": 12},
        )  # fmt: skip
        assert best.x > 0
        x[c, a : b + 1] = np.polyval(np.polyfit(known - pulse, x[c, known], 3), np.arange(a, b + 1) - pulse)
    y = signal.decimate(x, round(rate_hz / 1000), ftype="fir", axis=1)
    y = signal.detrend(y, axis=1)
    y -= y.mean(axis=0)
    out = []
    for low, high in ((8, 12), (13, 20), (21, 30)):
        sos = signal.butter(3, (low, high), "bandpass", fs=1000, output="sos")
        out.append(signal.hilbert(signal.sosfiltfilt(sos, y, axis=1), axis=1))
    return out


def mne_chain(x, rate_hz, pulse, montage):
    """fix_stim_artifact, resample, detrend, average reference, three filter + Hilbert bands."""
    import mne

    info = mne.create_info(list(montage.names), rate_hz, "eeg")
    epochs = mne.EpochsArray(x[None] * 1e-6, info, tmin=-pulse / rate_hz, verbose="error")
    mne.preprocessing.fix_stim_artifact(
        epochs, events=epochs.events, event_id=1, tmin=-0.002, tmax=0.012, mode="window"
    )
    epochs.resample(1000, verbose="error")
    epochs.set_eeg_reference("average", projection=False, verbose="error")
    out = []
    for low, high in ((8, 12), (13, 20), (21, 30)):
        band = epochs.copy().filter(low, high, verbose="error")
        out.append(band.apply_hilbert(verbose="error").get_data())
    return out


def quantiles_ms(spent) -> str:
    p50, p95 = 1e3 * np.percentile(spent, [50, 95])
    return f"{p50:9.2f} {p95:9.2f}"


def full_chain(channels: int, n_pulses: int, rate_hz: float = 5000.0, only: str = "") -> None:
    """The chain of the shipped plans (patterns of muscle and decay learnt and taken out), each filter made between
    pulses, and the same with SOUND; ratios to the fast chain on the same pulses. CPU time:
    a machine that does other things as well does not blur it."""
    montage = Montage.from_names(names_for(channels)) if channels <= 128 else _ring(channels)
    rng = np.random.default_rng(1)
    muscle = ChainSpec(muscle=True, muscle_early=True, decay=False, decay_first=True)
    medians = {}
    for name, spec in (
        ("fast", ChainSpec()),
        ("full", muscle),
        ("full + SOUND", replace(muscle, sound=True)),
    ):
        if only not in ("", name):
            continue
        chain = Chain(spec, rate_hz=rate_hz, montage=montage)
        n = chain.before + chain.after + 1
        smooth = np.cumsum(rng.standard_normal((channels, n)), axis=1) * 0.3
        x = (smooth + rng.standard_normal((channels, n))).astype(np.float32)
        t = (np.arange(n) - chain.before) / rate_hz
        fields = rng.standard_normal((channels, 3)) * 100
        shapes = (
            np.exp(-np.maximum(t, 0) / 0.01)
            * np.sin(2 * np.pi * np.array([[120], [180], [250]]) * t)
            * (t > 0)
        )
        spent, between, made, size_kb = [], [], [], 0
        for i in range(n_pulses):
            burst = (fields * rng.lognormal(0, 0.4, 3)) @ shapes
            data = np.ascontiguousarray((np.roll(x, 37 * i, axis=1) + burst).astype(np.float32).T).T
            start = time.thread_time()
            trial = chain.process(Epoch(data=data, rate_hz=rate_hz, pulse_sample=chain.before), trial_id=i)
            spent.append(time.thread_time() - start)
            if chain.spatial is not None:
                learnt = chain.spatial.trials
                start = time.thread_time()
                chain.spatial.prepare()
                new = learnt >= 10 and learnt % spec.spatial_every == 0
                (made if new else between).append(time.thread_time() - start)
            if i == n_pulses // 4:
                size_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size_kb) / 1024
        tail = spent[20:]
        half = len(tail) // 2
        medians[name] = float(np.median(tail))
        p99 = 1e3 * np.percentile(tail, 99)
        ratio = f", {medians[name] / medians['fast']:.2f} x fast" if "fast" in medians else ""
        drift = np.median(tail[half:]) / np.median(tail[:half])
        patterns = trial.verdict.numbers.get("spatial_patterns", 0)
        print(
            f"{channels} ch {name:13s} {n_pulses} pulses: CPU p50 {1e3 * medians[name]:.2f} p99 {p99:.2f} ms"
            f"{ratio}; second half over first {drift:.2f}; peak memory +{grown_mb:.1f} MB; {patterns:.0f} patterns"
            + (f"; learning between pulses p50 {1e3 * np.median(between):.2f} ms" if between else "")
            + (
                f", with a new filter p50 {1e3 * np.median(made):.1f} max {1e3 * max(made):.1f} ms"
                if made
                else ""
            )
        )


def _pulses(chain: Chain, channels: int, rate_hz: float):
    """Endless raw epochs: pink ongoing EEG, white noise and a burst of three muscle fields after each pulse."""
    rng = np.random.default_rng(1)
    n = chain.before + chain.after + 1
    smooth = np.cumsum(rng.standard_normal((channels, n)), axis=1) * 0.3
    x = (smooth + rng.standard_normal((channels, n))).astype(np.float32)
    t = (np.arange(n) - chain.before) / rate_hz
    fields = rng.standard_normal((channels, 3)) * 100
    waves = np.sin(2 * np.pi * np.array([[120], [180], [250]]) * t)
    shapes = np.exp(-np.maximum(t, 0) / 0.01) * waves * (t > 0)
    for i in itertools.count():
        burst = (fields * rng.lognormal(0, 0.4, 3)) @ shapes
        data = np.ascontiguousarray((np.roll(x, 37 * i, axis=1) + burst).astype(np.float32).T).T
        yield Epoch(data=data, rate_hz=rate_hz, pulse_sample=chain.before)


def to_scores(n_pulses: int = 400, channels: int = 64, rate_hz: float = 5000.0) -> None:
    """Last sample -> scores with the chain of the shipped plans and every measure of a pulse (no exact standard errors), as
    multiples of the same steps in scipy and in MNE, which clean only; then what 200 further pulses allocate: tracemalloc's
    blocks and bytes that stay, and the most that was there at once during a pulse."""
    montage = Montage.from_names(names_for(channels))
    spec = chain_of(load_plan("map-200"))
    scorer = TargetScorer("M1", spec, rate_hz, montage, montage.positions_m[5], capacity=n_pulses + 250)
    pulses = _pulses(scorer.chain, channels, rate_hz)
    assert scorer.chain.spatial is not None

    def one(epoch: Epoch, i: int) -> None:
        scorer.process(epoch, i)
        if scorer.n_accepted >= 3:
            scorer.scores(se=False)

    wall, cpu, between, why = [], [], [], []
    collected = []
    gc.callbacks.append(lambda phase, info: collected.append(phase))
    gc.collect()
    gc.disable()  # as the loop of a session does
    for i in range(n_pulses):
        epoch = next(pulses)
        before, collections = resource.getrusage(resource.RUSAGE_THREAD), len(collected)
        start, used = time.perf_counter(), time.thread_time()
        one(epoch, i)
        wall.append(time.perf_counter() - start)
        cpu.append(time.thread_time() - used)
        after = resource.getrusage(resource.RUSAGE_THREAD)
        why.append(
            (
                after.ru_nivcsw - before.ru_nivcsw,
                after.ru_minflt - before.ru_minflt,
                len(collected) - collections,
            )
        )
        used = time.thread_time()
        scorer.prepare()
        between.append(time.thread_time() - used)
    gc.callbacks.pop()
    gc.enable()
    slow, why_all = np.array(wall[30:]) > 2 * np.median(wall[30:]), np.array(why[30:])
    print(
        f"slower than twice the median: {slow.sum()} of {slow.size} pulses; of these another program took the core from "
        f"{(why_all[slow, 0] > 0).sum()}, of all {(why_all[:, 0] > 0).sum()}; new pages in a pulse: median "
        f"{np.median(why_all[:, 1]):.0f}, most in a slow one {max(why_all[slow, 1], default=0)}; collections "
        f"{why_all[:, 2].sum()}"
    )
    few = {"scipy": scipy_chain, "MNE": lambda d, r, p: mne_chain(d, r, p, montage)}
    plain = {}
    for name, chain in few.items():
        spent = []
        for _ in range(5):
            data, start = next(pulses).data, time.thread_time()
            chain(data, rate_hz, scorer.chain.before)
            spent.append(time.thread_time() - start)
        plain[name] = float(np.median(spent))
    for what, spent in (("wall", wall), ("CPU", cpu), ("CPU of what is left for between pulses:", between)):
        p50, p99 = np.percentile(spent[30:], [50, 99])
        ratio = ", ".join(f"{name} {v / p50:.0f} x that" for name, v in plain.items())
        more = f"; CPU of one plain way: {ratio}" if what == "CPU" else ""
        print(
            f"{channels} ch, {rate_hz:.0f} Hz, full chain -> all scores, {n_pulses} pulses: {what} p50 {1e3 * p50:.2f} "
            f"p99 {1e3 * p99:.2f} ms (p99 {p99 / p50:.1f} x p50){more}"
        )
    most = 0
    tracemalloc.start()
    gc.collect()
    before = tracemalloc.take_snapshot()
    for i in range(n_pulses, n_pulses + 200):
        epoch = next(pulses)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        one(epoch, i)
        most = max(most, tracemalloc.get_traced_memory()[1] - held)
        scorer.prepare()
    del epoch
    gc.collect()
    kept = [
        s
        for s in tracemalloc.take_snapshot().compare_to(before, "lineno")
        if s.traceback[0].filename not in (tracemalloc.__file__, __file__)
    ]
    tracemalloc.stop()
    blocks, size = sum(s.count_diff for s in kept), sum(s.size_diff for s in kept)
    print(
        f"     over 200 pulses in steady state: {blocks / 200:.2f} blocks and {size / 200:.0f} bytes a pulse stay; at most "
        f"{most / 1024:.0f} kB at once during a pulse"
    )
    for s in sorted(kept, key=lambda s: -abs(s.size_diff))[:3]:
        where = s.traceback[0]
        print(
            f"       {s.size_diff:+d} bytes, {s.count_diff:+d} blocks: {'/'.join(where.filename.split('/')[-2:])}:{where.lineno}"
        )


def _ring(channels: int) -> Montage:
    """So many electrodes evenly over the upper head: there are not so many names."""
    i = np.arange(channels) + 0.5
    z, turn = 1.0 - 1.2 * i / channels, np.pi * (1.0 + np.sqrt(5.0)) * i
    ring = np.sqrt(1.0 - z * z)
    where = HEAD_RADIUS_M * np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)
    return Montage(names=tuple(f"E{k}" for k in range(channels)), positions_m=where)


def main() -> None:
    import warnings

    warnings.simplefilter("ignore")
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--long", type=int, default=0, metavar="PULSES")
    if (n_long := asked.parse_args().long) > 0:
        full_chain(64, n_long, only="full")
        return
    print("ms per pulse                             p50       p95   ratio to ours")
    for rate_hz, channels in ((1000.0, 64), (4800.0, 63), (5000.0, 64), (25000.0, 64), (5000.0, 128)):
        montage = Montage.from_names(names_for(channels))
        n_pulses = 60 if rate_hz <= 5000 and channels < 100 else 20
        scorer = TargetScorer("M1", ChainSpec(), rate_hz, montage, montage.positions_m[5], capacity=n_pulses)
        rng = np.random.default_rng(0)
        n = scorer.chain.before + scorer.chain.after + 1
        x = (
            np.cumsum(rng.standard_normal((channels, n)), axis=1) * 0.3 + rng.standard_normal((channels, n))
        ).astype(np.float32)
        clean, all_of_it, stages = [], [], []
        for i in range(n_pulses):
            data = np.ascontiguousarray(np.roll(x, 37 * i, axis=1).T).T  # as the ring holds it
            epoch = Epoch(data=data, rate_hz=rate_hz, pulse_sample=scorer.chain.before)
            start = time.perf_counter()
            trial = scorer.process(epoch, i)
            end = time.perf_counter()
            if i == 2:
                scorer.reinstate(0), scorer.reinstate(1), scorer.reinstate(2)
                scorer.scores()
            elif i > 2:
                again = time.perf_counter()
                scorer.scores(se=False)
                all_of_it.append(end - start + time.perf_counter() - again)
                clean.append(end - start)
                stages.append(trial.stage_s)
        title = f"{channels} ch, {rate_hz:.0f} Hz"
        print(f"{title:18s} -> clean, added   {quantiles_ms(clean)}")
        print(f"{title:18s} -> scores (no SE){quantiles_ms(all_of_it)}")
        print("     " + "  ".join(f"{k} {1e3 * np.median([s[k] for s in stages]):.2f}" for k in stages[0]))
        if (rate_hz, channels) == (5000.0, 64):
            ours = float(np.median(clean))
            for name, chain in (
                ("scipy", scipy_chain),
                ("MNE", lambda d, r, p, m=montage: mne_chain(d, r, p, m)),
            ):
                spent = []
                for _ in range(4):
                    start = time.perf_counter()
                    chain(x, rate_hz, scorer.chain.before)
                    spent.append(time.perf_counter() - start)
                print(
                    f"     {name:5s} same, clean only {quantiles_ms(spent)}   {np.median(spent) / ours:5.0f}x"
                )
            start = time.perf_counter()
            scorer.scores()
            print(
                f"     exact jackknife of all, N = {n_pulses}: {1e3 * (time.perf_counter() - start):.1f} ms"
            )
    to_scores()
    for channels, n_pulses in ((64, 1200), (128, 200), (256, 60)):
        full_chain(channels, n_pulses)


if __name__ == "__main__":
    main()
