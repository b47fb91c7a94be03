# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What one application is to serve, what it was told, and what it says that it serves."""

from __future__ import annotations

import math

from dynamic_dnn_ros.management.decisions import Switch, SwitchReason
from dynamic_dnn_ros.management.observations import Application
from dynamic_dnn_ros.management.tables import Option
from dynamic_dnn_ros.management.targets import Target

RESEND_AFTER = 1.0
"""
Seconds after which a switch that was not acknowledged is sent again, then after twice as long each
time: it may be lost, but rather waits for its sub-network to be prepared.
"""

LONGEST_PREPARATION = 60.0
"""Seconds after which a switch without an answer holds up nothing any more."""

LONGEST_RESEND = 8.0
"""Seconds after which it is sent again at most."""


class Assignment:
    """
    The option decided on, and how far the application has come with it.

    Only the methods below change it; all else reads.
    """

    def __init__(self, application: Application) -> None:
        """Begin with what the application says of itself: nothing is to change."""
        self._actual: Option = (application.sub_network, application.processor)
        self._desired = self._actual
        self._reason = SwitchReason.APPLICATION
        self._taken_over = False
        self._echo = application.target
        self._outstanding: Switch | None = None
        self._sent = self._begun = -math.inf
        self._resend = RESEND_AFTER
        # Manager and number of the last switch that it applied: what it said before is out of
        # date.
        self._answered: tuple[str, int] | None = None

    @property
    def desired(self) -> Option:
        """Return the option decided on."""
        return self._desired

    @property
    def actual(self) -> Option:
        """Return the option that the application says it serves."""
        return self._actual

    def changes(self, now: float) -> bool:
        """Tell whether another option is on its way to the application."""
        waiting = self._outstanding
        return (
            waiting is not None
            and (waiting.sub_network, waiting.processor) != self._actual
            and now - self._begun < LONGEST_PREPARATION
        )

    def took(self, now: float) -> float:
        """Return since when another option has been on its way, s; 0: none is."""
        waiting = self._outstanding
        if waiting is None or (waiting.sub_network, waiting.processor) == self._actual:
            return 0.0
        return now - self._begun

    def has_applied(self, manager: str, sequence: int) -> bool:
        """Tell whether that switch is the last one that it applied, and none has followed."""
        return self._outstanding is None and self._answered == (manager, sequence)

    @property
    def outstanding(self) -> Switch | None:
        """Return the switch that it has not answered yet."""
        return self._outstanding

    def decide(self, option: Option, reason: SwitchReason) -> None:
        """Decide on an option; why counts where it is another one."""
        if option == self._desired:
            return
        if self._taken_over and reason is SwitchReason.MEASUREMENT:
            # What somebody else had it serve was no choice of this manager.
            reason = SwitchReason.APPLICATION
        self._desired, self._reason, self._taken_over = option, reason, False

    def leave(self) -> None:
        """Decide on whatever is served."""
        self._desired = self._actual

    def due(self, target: Target | None, now: float) -> SwitchReason | None:
        """Return why a switch is to be sent now, none where none is."""
        if self._outstanding is None:
            if self._desired != self._actual:
                return self._reason
            return None if _is_handed_over(target, self._echo) else SwitchReason.TARGET_ECHO
        if self.is_sent(target) and now - self._sent < self._resend:
            return None
        return self._reason

    def is_sent(self, target: Target | None) -> bool:
        """Tell whether what was decided is on its way, with the target in force."""
        waiting = self._outstanding
        return (
            waiting is not None
            and (waiting.sub_network, waiting.processor) == self._desired
            and _is_handed_over(target, waiting.target)
        )

    def is_handed_over(self, target: Target | None) -> bool:
        """Tell whether what was decided is served, with the target in force."""
        return (
            self._outstanding is None
            and self._actual == self._desired
            and _is_handed_over(target, self._echo)
        )

    def send(self, switch: Switch, now: float) -> None:
        """Note that a switch was sent."""
        if switch.again:
            self._resend = min(2 * self._resend, LONGEST_RESEND)
        else:
            self._resend, self._begun = RESEND_AFTER, now
        self._outstanding, self._sent = switch, now

    def say(self, application: Application) -> None:
        """Take what the application says of itself, unless it said so before its last answer."""
        if self._answered is not None:
            manager, sequence = self._answered
            if application.switch_manager != manager or application.switch_sequence < sequence:
                return
        self._echo = application.target
        self.serve((application.sub_network, application.processor))

    def serve(self, option: Option) -> None:
        """Note what it serves, unless a switch is on its way to it."""
        if self._outstanding is None:
            self._actual = option

    def apply(self, manager: str, option: Option) -> None:
        """Note that the outstanding switch was applied."""
        assert self._outstanding is not None
        self._actual, self._echo = option, self._outstanding.target
        self._answered = (manager, self._outstanding.sequence)
        self._outstanding = None

    def refuse(self) -> None:
        """Note that the outstanding switch was refused: what is served stays."""
        self._outstanding = None
        self._desired = self._actual

    def take_over(self, option: Option) -> None:
        """Take over what somebody else had it serve, by hand say."""
        self._actual = self._desired = option
        self._taken_over = True
        # Whatever target that switch carried is told by the application itself.
        self._echo = self._answered = None


def _is_handed_over(target: Target | None, echo: Target | None) -> bool:
    """Tell whether an echo is the target, though it may have been asked for again since."""
    if target is None or echo is None:
        return target is echo
    return target.asks_the_same(echo) and target.sender == echo.sender
