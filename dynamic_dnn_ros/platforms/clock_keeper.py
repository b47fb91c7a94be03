# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sets a platform's clocks while a lease lasts, and puts back what was found when it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dynamic_dnn_ros.platforms.contract import (
    DomainRange,
    LimitsFound,
    Notice,
    NoticeKind,
    Platform,
    PlatformError,
    PlatformSample,
    StateError,
)
from dynamic_dnn_ros.platforms.lease import LeaseKeeper, Setting, SettingRefused, SettingResult


class Restorer(Protocol):
    """What restores the limits found if this process dies; `guard.Guard` is one."""

    def recover(self) -> Sequence[LimitsFound]:
        """Restore what a predecessor left behind, and return what was restored."""

    def arm(self, found: Sequence[LimitsFound], expiry: float | None = None) -> None:
        """
        Have something restored after this process; raises PlatformError if that fails.

        :param expiry: when the lease ends, s on the clock of `now`: this process may hang then
        """

    def disarm(self) -> None:
        """Have nothing restored any more; raises PlatformError if nobody answered."""

    def close(self) -> None:
        """End it; what it is armed with is restored."""


@dataclass(frozen=True)
class Log:
    """
    Where a keeper writes what its operator should know.

    `complain` takes a text and what makes two complaints the same (empty: their text); it may
    leave out one that was written a moment ago.
    """

    info: Callable[[str], object]
    warning: Callable[[str], object]
    error: Callable[[str], object]
    complain: Callable[[str, str], object]


@dataclass(frozen=True)
class Answer:
    """
    What became of the last setting; mirrors the `setting_` fields of `SystemLoad.msg`.

    `sequence` and `manager` are those of the setting, 0 and empty before the first one.
    """

    result: SettingResult = SettingResult.NONE
    text: str = ''
    sequence: int = 0
    manager: str = ''

    @property
    def refused(self) -> bool:
        """Tell whether the setting was refused."""
        return self.result >= SettingResult.REFUSED_PLATFORM


@dataclass(frozen=True)
class ClockReport:
    """
    What is to be published now: the hardware, who holds the lease, and the last answer.

    `lease_manager` is empty and `lease_remaining`, in seconds, is 0 where nobody holds it.
    """

    sample: PlatformSample
    lease_manager: str
    lease_remaining: float
    answer: Answer


class ClockKeeper:
    """
    The life of a lease on one platform: guard, apply, renew, restore, retry.

    Nothing is written to the hardware before a guard is armed with what was found. When the lease
    ends, in whatever way, what was found is put back; what a file refuses is tried again with
    each `retry`, and the guard stays armed for it until then.

    Touches time only as an argument: `now` is in seconds on the platform's own monotonic clock.
    """

    def __init__(
        self,
        platform: Platform,
        boot_id: str,
        maximum_lease: float,
        make_guard: Callable[[], Restorer],
        log: Log,
    ) -> None:
        """
        Where the platform has something to restore, get a guard and recover.

        :param maximum_lease: longest lease that is accepted, s
        :param make_guard: called when there first is something to restore
        :raises PlatformError: when there is no guard, or it cannot restore what was left behind
        """
        self._platform = platform
        self._make_guard = make_guard
        self._log = log
        self._guard: Restorer | None = None
        self._lease = LeaseKeeper(platform.id, boot_id, maximum_lease)
        self._answer = Answer()
        self._notices: tuple[Notice, ...] = ()
        self._unrestored = ''
        self._unmanaged = ''
        if platform.limits_found():
            self._begin_guard()

    @property
    def answer(self) -> Answer:
        """Return what became of the last setting."""
        return self._answer

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Return what was noticed at the last report."""
        return self._notices

    @property
    def unmanaged(self) -> str:
        """Return why no clock is set at all; empty: they are, while somebody has the lease."""
        return self._unmanaged

    @property
    def unrestored(self) -> str:
        """Return what could not be restored yet; empty: everything is."""
        return self._unrestored

    def holder(self, now: float) -> str:
        """Return the manager that holds the lease; empty: nobody."""
        return self._lease.holder(now)

    def remaining(self, now: float) -> float:
        """Return the seconds that the lease still lasts; 0: no lease."""
        return self._lease.remaining(now)

    def take(self, setting: Setting, now: float) -> Answer:
        """Judge a setting, put it in force or release the lease, and return the answer."""
        # A lease that ended in this instant must not count as held by another manager.
        if self._lease.expired(now):
            self._finish(SettingResult.EXPIRED, 'the lease ran out', now)
        try:
            if self._unmanaged:
                raise SettingRefused(
                    SettingResult.REFUSED_HARDWARE,
                    'clocks',
                    self._unmanaged,
                    'Only read till then',
                )
            ranges = self._lease.judge(setting, now, self._platform.limits())
            result, text = self._put_in_force(setting, ranges, now)
        except SettingRefused as refusal:
            result, text = refusal.result, str(refusal)
        except PlatformError as error:
            result, text = SettingResult.REFUSED_HARDWARE, str(error)
            self._lease.end()
            self._restore(now)
        self._answer = Answer(result, text, setting.sequence, setting.manager)
        if self._answer.refused:
            # A manager asks again four times a second, and counts its settings.
            self._log.complain(f'Setting refused: {text}', result.name)
        return self._answer

    def expire(self, now: float) -> bool:
        """Restore if the lease has run out, and tell whether it had; True once for each."""
        if not self._lease.expired(now):
            return False
        self._finish(SettingResult.EXPIRED, 'the lease ran out; renew it in time', now)
        return True

    def end(self, now: float) -> None:
        """End the lease, if there is one, and restore."""
        self._lease.end()
        self._restore(now)

    def retry(self, now: float) -> None:
        """Try again what a file refused to take back; not while a lease lasts."""
        if self._unrestored and not self._lease.holder(now) and not self._restore(now):
            self._log.info('The limits found are in force again')

    def report(self, now: float) -> ClockReport:
        """
        Read the platform and return what is to be published.

        Limits that somebody else has changed during a lease are the ones to be restored from
        here on. A setting that the hardware has cut down since it was applied becomes LIMITED.
        """
        sample = self._platform.read(now)
        self._notice(sample.notices)
        if self._unmanaged:
            fixed = tuple(replace(domain, available=()) for domain in sample.domains)
            sample = replace(sample, domains=fixed)
        if self._guard is not None and self._lease.holder(now):
            try:
                self._guard.arm(self._platform.limits_found(), self._lease.expiry)
            except PlatformError as error:
                self._log.complain(str(error), '')
        return ClockReport(
            sample, self._lease.holder(now), self._lease.remaining(now), self._answer
        )

    def close(self) -> None:
        """End the guard, which restores what could not be restored."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()

    def _begin_guard(self) -> None:
        """Get a guard that has restored what an earlier run left behind; without, only read."""
        guard = self._make_guard()
        try:
            recovered = guard.recover()
        except StateError as error:
            guard.close()
            self._unmanaged = str(error)
            self._log.error(self._unmanaged)
            return
        except PlatformError:
            guard.close()
            raise
        if recovered:
            self._log.warning(f'Restored {len(recovered)} limits that an earlier run left behind')
        self._guard = guard

    def _put_in_force(
        self, setting: Setting, ranges: tuple[DomainRange, ...], now: float
    ) -> tuple[SettingResult, str]:
        if setting.release:
            self._lease.end()
            return SettingResult.RELEASED, self._restore(now)
        found = self._platform.limits_found()
        if found and self._guard is None:
            self._begin_guard()  # at the start there was nothing to set
            if self._unmanaged:
                raise PlatformError('clocks', self._unmanaged, 'Only read till then')
            found = self._platform.limits_found()
        if self._guard is not None:
            self._guard.arm(found, self._lease.expiry_of(setting, now))
        if not self._lease.holder(now):
            self._unrestored = ''  # what is left over is part of the new setting's restoration
        granted = {grant.name: grant.maximum for grant in self._platform.apply(now, ranges)}
        self._lease.hold(setting, now)
        short = [
            f'{row.name} was granted at most {granted[row.name]:.0f} Hz, '
            f'{row.minimum:.0f} Hz were asked for'
            for row in ranges
            if row.name in granted and granted[row.name] < row.minimum * (1 - 1e-6)
        ]
        if short:
            problem = '; '.join(short)
            remedy = "The board limits itself: ask for at most its 'limit_maximum'"
            return SettingResult.LIMITED, f'{problem}. {remedy}'
        return SettingResult.APPLIED, ''

    def _finish(self, result: SettingResult, text: str, now: float) -> None:
        text = self._restore(now) or text
        self._answer = replace(self._answer, result=result, text=text)
        self._log.info(f'The limits found are in force again: {text}')

    def _restore(self, now: float) -> str:
        """Restore what was found and return what is wrong, if anything."""
        try:
            self._platform.restore(now)
        except PlatformError as error:
            # It is tried again, and the guard stays armed for the end of this process.
            if str(error) != self._unrestored:
                self._log.error(str(error))
            self._unrestored = str(error)
            return self._unrestored
        self._unrestored = ''
        if self._guard is not None:
            try:
                self._guard.disarm()
            except PlatformError as error:
                # A mute guard has been ended by this, and nothing is left to be restored.
                self._log.complain(str(error), '')
        return ''

    def _notice(self, notices: tuple[Notice, ...]) -> None:
        """Log what is new, once, and answer the last setting with what it was granted since."""
        known = {notice.text for notice in self._notices}
        for notice in notices:
            if notice.text not in known:
                self._log.warning(notice.text)
        self._notices = notices
        limited = '; '.join(n.text for n in notices if n.kind is NoticeKind.LIMITED)
        if limited and self._answer.result is SettingResult.APPLIED:
            self._answer = replace(self._answer, result=SettingResult.LIMITED, text=limited)
