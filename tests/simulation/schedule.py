"""The faults and the load of a simulation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """The faults and the load of one run. Shares are between 0 and 1.

    :param seed: determines everything that the other parameters leave open
    :param processes: number of processes at a time
    :param hosts: number of hosts; the processes of one host share its host lock
    :param lifetime: lifetime of an access token in seconds
    :param rounds: how often each process requests a token
    :param spread: all processes start within this time, in seconds
    :param late: share of reads and writes that take up to 60 s; a write of the record takes up to 28 s, after which
        Airflow gives up
    :param absent: share of reads that find nothing, although there is something
    :param failing: share of reads and writes that fail with an error; some of these writes land, or land soon after
    :param down: share of token requests that fail before the server has received them
    :param lost: share of token requests whose response is lost
    :param crashes: share of steps at which a process is killed; another one replaces it
    :param naps: share of sleeps that last longer, because the process was not running
    :param nap: longest extra time of these sleeps, in seconds
    :param freezes: share of steps at which a process is frozen while time passes, also during the token request and
        during a write of the record
    :param stalls: share of token requests during which a process is frozen before it has the response
    :param freeze: longest time that a process is frozen, in seconds
    :param stops_clocks: whether the monotonic clock stops while a process is frozen
    :param grace: whether the server accepts a used refresh token again as long as its successor was not used
    :param skew: difference between the clocks of two hosts, in seconds
    :param new: whether the connection was never used, so that there is neither a lease nor a record
    :param deletions: how often a user deletes the Variable of the lease
    :param users: how many users authorize the connection, revoke or forget its tokens meanwhile
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
    users: int = 0

    def storage_is_perfect(self) -> bool:
        """Return whether every read and write succeeds without delay."""
        return not (self.late or self.absent or self.failing)
