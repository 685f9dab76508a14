"""Removes single rules of renewal from the production code. The simulation must fail without them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.tokens import coordinator, grant_actions, lease
from airflow_provider_oauth.tokens.lease import WAIT, Claim, Lease, Observation
from airflow_provider_oauth.tokens.record_writer import RecordWriter
from airflow_provider_oauth.tokens.renewal import Renewal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

#: The problems that runs report without a rule.
LOST = "again, after|is lost"
OLDER = "of an older claim|restored|again, after"
UNWRITTEN = "continues with a renewed token that is not stored"


@contextmanager
def without(rule: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove a rule from the production code."""
    with monkeypatch.context() as patch:
        REMOVALS[rule](patch)
        yield


def _the_lease(patch: pytest.MonkeyPatch) -> None:
    def take(self: Lease, seen: Observation) -> Claim:
        return self._granted(replace(self.claim_unconditionally(), exclusive=True, ends=1e9))

    patch.setattr(Lease, "is_held", lambda self, record, exclusive: False)
    patch.setattr(Lease, "take", take)


def _the_wait(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lease, "_let_settle", lambda self, seconds: None)


def _the_term(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lease, "TERM", 10.0)
    _the_rest_of_the_term(patch)
    patch.setattr(Claim, "covers_storing", lambda self, now: True)


def _the_rest_of_the_term(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Claim, "covers_token_request", lambda self, now: True)


def _the_unchanged_record(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lease, "is_unchanged", lambda self, record: True)


def _the_check_before_the_write(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Claim, "covers_storing", lambda self, now: True)


def _the_unwritten_record(patch: pytest.MonkeyPatch) -> None:
    write = RecordWriter.write_renewed

    def without_keeping(self: RecordWriter, *args: Any) -> None:
        try:
            write(self, *args)
        finally:
            self._unwritten = None

    patch.setattr(RecordWriter, "write_renewed", without_keeping)


def _the_generation_of_the_unwritten_record(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RecordWriter, "unwritten", lambda self, record: self._unwritten)


def _no_fallback(patch: pytest.MonkeyPatch) -> None:
    unwritten = RecordWriter.unwritten
    patch.setattr(RecordWriter, "unwritten", lambda self, record: unwritten(self, record) if record else None)


def _no_refusal(patch: pytest.MonkeyPatch) -> None:
    check = Renewal.check

    def without_unwritten(self: Renewal, *args: Any) -> None:
        writer = self._writer
        unwritten, writer._unwritten = writer._unwritten, None
        try:
            check(self, *args)
        finally:
            writer._unwritten = unwritten

    patch.setattr(Renewal, "check", without_unwritten)


def _trying_again(patch: pytest.MonkeyPatch) -> None:
    class NeverRaised(Exception):
        pass

    patch.setattr(coordinator, "Overtaken", NeverRaised)
    patch.setattr(grant_actions, "Overtaken", NeverRaised)


def _own_nonce(patch: pytest.MonkeyPatch) -> None:
    granted = Lease._granted

    def without_own_nonce(self: Lease, claim: Claim) -> Claim:
        granted(self, claim)
        self._own = None
        return claim

    patch.setattr(Lease, "_granted", without_own_nonce)


def _only_granted_nonces(patch: pytest.MonkeyPatch) -> None:
    take = Lease.take

    def with_every_nonce(self: Lease, seen: Observation) -> Claim | None:
        write = self._store.write_lease

        def write_and_keep(nonce: str) -> None:
            self._own = nonce
            write(nonce)

        self._store.write_lease = write_and_keep  # type: ignore[method-assign]
        try:
            return take(self, seen)
        finally:
            self._store.write_lease = write  # type: ignore[method-assign]

    patch.setattr(Lease, "take", with_every_nonce)


def _later_actions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(grant_actions, "_is_newer", lambda record, generation: False)


def _the_exchange_timeout(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lease, "EXCHANGE_TIMEOUT", WAIT)


REMOVALS = {
    "the longer wait if the lease is missing but not the record": _the_exchange_timeout,
    "the lease": _the_lease,
    "the wait": _the_wait,
    "the term": _the_term,
    "the check that the rest of the term covers request and storing": _the_rest_of_the_term,
    "the check that the record is unchanged": _the_unchanged_record,
    "the check of the claim before a write": _the_check_before_the_write,
    "the unwritten record": _the_unwritten_record,
    "the generation check of the unwritten record": _the_generation_of_the_unwritten_record,
    "the rule that an unwritten record is stored before a token is used": _no_fallback,
    "the rule that an unwritten record makes a refusal irrelevant": _no_refusal,
    "the repetition after a freeze": _trying_again,
    "the rule that the last own nonce is free": _own_nonce,
    "the rule that the nonce of a void claim is not free": _only_granted_nonces,
    "the check for a later action": _later_actions,
}
