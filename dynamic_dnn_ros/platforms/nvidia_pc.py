# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A PC with NVIDIA cards: plain Linux, and load, power, clocks of the cards through NVML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dynamic_dnn_ros.platforms.contract import (
    HardwareError,
    Notice,
    NoticeKind,
    PlatformError,
    PlatformSample,
)
from dynamic_dnn_ros.platforms.kernel_platform import CPU, GPU, KernelDomain
from dynamic_dnn_ros.platforms.linux import LinuxPlatform, cpu_domains
from dynamic_dnn_ros.platforms.nvml import GONE_REMEDY, Card, CardClock, cards_of, open_cards
from dynamic_dnn_ros.platforms.registration import Board, PlatformOptions
from dynamic_dnn_ros.platforms.sysfs import Sysfs

DRIVER = '/proc/driver/nvidia/version'
"""Is there while NVIDIA's driver is loaded; the driver of a Jetson does not make it."""

TOTAL = 'CPU_AND_GPU'
"""Name of the sum of a processor's package and the cards: most of what a PC takes, not all."""


class NvidiaPcPlatform(LinuxPlatform):
    """
    Plain Linux whose first NVIDIA card is the domain `gpu`, further ones `gpu1`, `gpu2`.

    It reads as any user. A card's clock is set by root alone. Memory clocks of cards are left
    alone: a change of theirs makes pictures stop for a moment.
    """

    id = 'nvidia_pc'
    processors = (CPU, GPU)

    def __init__(
        self,
        sysfs_root: str | Path | Sysfs = '/',
        manage_cpu: bool = False,
        manage_gpu: bool = True,
        open_cards: Callable[[], Sequence[Card]] = open_cards,
    ) -> None:
        """
        Look for cards, clocks and sensors.

        :raises PlatformError: when NVML cannot be asked, or knows no card
        """
        self._cards: dict[str, Card] = {}
        self._open_cards = open_cards
        self._lost: tuple[str, ...] = ()
        self._look_for_cards()
        if not self._cards:
            raise PlatformError(
                f'platform {self.id!r}',
                'is not this computer: NVML knows no card',
                "Look at `nvidia-smi -L`, or set parameter 'platform' to 'linux'",
            )
        super().__init__(sysfs_root, manage_cpu, manage_gpu)

    def _look_for_cards(self) -> None:
        known = {card.uuid for card in self._cards.values()}
        for card in self._open_cards():
            if card.uuid not in known:
                number = len(self._cards)
                self._cards[f'{GPU}{number}' if number else GPU] = card

    def _finder(
        self, sysfs: Sysfs, manage_cpu: bool, manage_gpu: bool
    ) -> Callable[[], Sequence[KernelDomain]]:
        controls = {name: CardClock(card) for name, card in self._cards.items()}

        def find() -> Sequence[KernelDomain]:
            try:
                self._look_for_cards()
            except HardwareError:
                pass  # those that are known say themselves that they are away
            for name, card in self._cards.items():
                controls.setdefault(name, CardClock(card))
            cards = [KernelDomain(name, (each,), manage_gpu) for name, each in controls.items()]
            return (*cpu_domains(sysfs, manage_cpu), *cards)

        return find

    def read(self, now: float) -> PlatformSample:
        """Return the state, with the cards' power and temperature."""
        self._lost = tuple(name for name, card in self._cards.items() if not card.is_there())
        return super().read(now)

    def _temperatures(self) -> dict[str, float]:
        cards = {name: card.temperature() for name, card in self._cards.items()}
        return {**super()._temperatures(), **cards}

    def _power(self, now: float) -> tuple[dict[str, float], str]:
        power, total = super()._power(now)
        cards = {name: card.power() for name, card in self._cards.items()}
        if total == 'psys':  # the whole computer by its platform's sensor
            return {**power, **cards}, total
        if total:
            cards[TOTAL] = power[total] + sum(cards.values())
            return {**power, **cards}, TOTAL
        return {**power, **cards}, GPU if not power and len(cards) == 1 else ''

    def _total(self, domain: KernelDomain) -> float:
        card = self._cards.get(domain.name)
        return super()._total(domain) if card is None else card.utilisation()

    def _more_notices(self) -> tuple[Notice, ...]:
        notices = list(super()._more_notices())
        for name, card in self._cards.items():
            if name in self._lost:
                text = (
                    f'{name}, {card.name}, does not answer any more: it fell off the bus, or its '
                    f'driver was unloaded. {GONE_REMEDY}'
                )
                notices.append(Notice(NoticeKind.SENSOR, text))
        return tuple(notices)

    def _held_down_by(self, domain: str) -> tuple[str, ...]:
        card = self._cards.get(domain)
        return super()._held_down_by(domain) if card is None else card.slowed_by()


def is_this(sysfs: Sysfs) -> bool:
    """Return whether NVIDIA's driver for cards is loaded, and can be asked."""
    return sysfs.text(sysfs.path(DRIVER)) is not None and bool(cards_of())


def _make(sysfs: Sysfs, options: PlatformOptions) -> NvidiaPcPlatform:
    return NvidiaPcPlatform(sysfs, options.manage_cpu, options.manage_gpu)


BOARD = Board(
    NvidiaPcPlatform.id,
    'a PC with an NVIDIA card',
    is_this,
    _make,
    '`pip install nvidia-ml-py`, and look whether `nvidia-smi` works; in a container, give it the '
    'GPU (`--gpus all`)',
    "a stand-in for the driver's library; never a card",
)
