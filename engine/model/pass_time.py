"""Estimates the time of a pass through frozen networks, and suggests a better network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.model.extractor import Extractor
from engine.model.speeds import keep_speeds, kept_speeds
from engine.runs.backbone_facts import all_facts, better_and_faster
from engine.runs.fit_options import FitOptions
from engine.runs.network_names import names_a_file
from engine.runs.progress import Reporter

LONG = 60.0  # seconds from which a pass is announced
_ENOUGH = 4.0  # seconds of a pass from which its speed is known
_FEWEST = 64  # images from which a speed is kept


@dataclass
class PassTime:
    """Measures a pass through several networks, one after the other; used as a progress callback.

    Attributes
    ----------
    names : the networks in their order
    known : images per second by name, from earlier passes on this machine
    report : receives the progress, and one sentence if the pass will take more than a minute
    suggest : whether the sentence names a better and faster network
    """

    names: tuple[str, ...]
    known: Mapping[str, float]
    report: Reporter
    suggest: bool = False
    _said: bool = False
    _seen: dict[int, list[tuple[float, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, extractor: Extractor, options: FitOptions, report: Reporter) -> PassTime:
        """Return a watch for the pass of a fit."""
        sources = [source for _, source in options.networks]
        published = not any(source == "none" or names_a_file(source) for source in sources)
        known = _known(extractor) if options.image_size is None else {}
        names = tuple(each.backbone for each in extractor.every)
        on_cpu = extractor.device.name == "cpu"
        return cls(names, known, report, on_cpu and published and len(names) == 1)

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report ``done`` of ``total`` images of all networks together."""
        now, per = time.monotonic(), total / len(self.names)
        index = min(int(max(done - 1, 0) / per), len(self.names) - 1) if per else 0
        first, last = self._seen.setdefault(index, [(now, done), (now, done)])
        self._seen[index] = [first, (now, done)]
        speed = self._speed(index, self.known)
        waited = now - first[0] >= _ENOUGH
        if not self._said and speed and (waited or self.names[index] in self.known):
            self._said = True
            seconds = self._left(index, done, per, speed)
            if seconds >= LONG:
                self.report.notice(self._sentence(index, seconds, speed))
        self.report(stage, done, total)

    def rates(self) -> dict[str, float]:
        """Return the images per second of each network that has processed enough images."""
        return {
            self.names[index]: (last[1] - first[1]) / (last[0] - first[0])
            for index, (first, last) in self._seen.items()
            if last[1] - first[1] >= _FEWEST and last[0] > first[0]
        }

    def keep(self, extractor: Extractor) -> None:
        """Keep the rates of the networks for this machine, by what computed each."""
        rates = self.rates()
        for each in extractor.every:
            known = {name: rate for name, rate in rates.items() if name == each.backbone}
            keep_speeds(extractor.device, known, each.openvino)

    def _speed(self, index: int, known: Mapping[str, float]) -> float:
        first, last = self._seen[index]
        if last[0] - first[0] >= _ENOUGH and last[1] > first[1]:
            return (last[1] - first[1]) / (last[0] - first[0])
        return known.get(self.names[index], 0.0)

    def _left(self, index: int, done: int, per: float, speed: float) -> float:
        """Return the seconds that the rest takes; of unknown networks by their operations."""
        seconds = ((index + 1) * per - done) / speed
        here = self.names[index]
        for name in self.names[index + 1 :]:
            rate = self.known.get(name)
            if rate is None:
                facts = all_facts()
                known = here in facts and name in facts  # others are taken to be as fast
                rate = speed * (facts[here].gflop / facts[name].gflop if known else 1)
            seconds += per / rate
        return seconds

    def _sentence(self, index: int, seconds: float, speed: float) -> str:
        name, minutes = self.names[index], max(1, round(seconds / 60))
        rate = f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}"
        said = (
            f"Extracting features takes about {minutes:,} minute{'s' * (minutes > 1)} here "
            f"({name}: {rate} images per second); finished work is kept if you stop."
        )
        better = better_and_faster(name, {**self.known, name: speed}) if self.suggest else ""
        return f"{said} {better}".rstrip()


def _known(extractor: Extractor) -> dict[str, float]:
    """Return the kept speeds, those of OpenVINO of the networks that it computes."""
    speeds = {used: kept_speeds(extractor.device, used) for used in (False, True)}
    computed = {each.backbone for each in extractor.every if each.openvino}
    others = {name: speed for name, speed in speeds[False].items() if name not in computed}
    return others | {name: speed for name, speed in speeds[True].items() if name in computed}
