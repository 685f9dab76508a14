"""What happens in a simulation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """What happens in a run. Shares are of 1.

    :param seed: decides all that the rest leaves open
    :param processes: how many at a time
    :param hosts: how many hosts they are spread over; those of one host share its lock
    :param lifetime: of an access token, in seconds
    :param rounds: how often each process wants a token
    :param spread: the processes start within so many seconds
    :param late: share of reads and writes that take up to 60 s; of a record's writes up to 28 s, after which Airflow
        gives up
    :param absent: share of reads that say there is nothing, though there is
    :param failing: share of reads and writes that fail and say so; some of the writes have landed, or land soon after
    :param down: share of token requests that fail before the server has seen them
    :param lost: share of token requests whose answer is lost
    :param crashes: share of seams at which a process is killed; another takes its place
    :param naps: share of sleeps that last longer, for the process was not running
    :param nap: by how many seconds, at most
    :param freezes: share of seams at which a process stands still, while time goes on: inside the token request, or
        while a record is written
    :param stalls: share of token requests that freeze a process before it has the response
    :param freeze: for how many seconds, at most
    :param stops_clocks: whether its monotonic clock stops then
    :param grace: whether the server accepts a refresh token again as long as its successor was not used
    :param skew: seconds that the hosts' clocks are apart
    :param new: whether the connection was never used, and so has neither lease nor record
    :param deletions: how often somebody deletes the Variable with the lease
    :param people: how many people authorize again, revoke or forget meanwhile
    """

    seed: int = 0
    processes: int = 3
    hosts: int = 3
    lifetime: float = 180
    rounds: int = 3
    spread: float = 5
    late: float = 0.0
    absent: float = 0.0
    failing: float = 0.0
    down: float = 0.0
    lost: float = 0.0
    crashes: float = 0.0
    naps: float = 0.0
    nap: float = 30.0
    freezes: float = 0.0
    stalls: float = 0.0
    freeze: float = 300.0
    stops_clocks: bool = False
    grace: bool = True
    skew: float = 0.0
    new: bool = False
    deletions: int = 0
    people: int = 0

    def storage_is_perfect(self) -> bool:
        """Return whether every read and write works, and soon."""
        return not (self.late or self.absent or self.failing)
