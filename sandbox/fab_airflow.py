"""Real Airflow with the auth manager of Flask AppBuilder, whose users and roles are in the database.

    with FabAirflow(home=Path("airflow"), dags=Path("dags"), users={"admin": "Admin", "eve": "Viewer"}) as airflow:
        print(airflow.password_of("eve"))

Needs ``apache-airflow-providers-fab``.
"""

from __future__ import annotations

import json

from sandbox.airflow import Airflow

_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"

#: Runs several commands of ``airflow`` in one process: each takes ten seconds to get going. Their arguments come by
#: standard input, because there are passwords among them.
_COMMANDS = """
import json, sys
from airflow.cli.cli_parser import get_parser

for command in json.load(sys.stdin):
    arguments = get_parser().parse_args(command)
    arguments.func(arguments)
"""


class FabAirflow(Airflow):
    """Airflow with Flask AppBuilder's auth manager, as a context manager.

    Takes the parameters of :class:`Airflow`; the roles are ``Viewer``, ``User``, ``Op`` and ``Admin``.
    """

    admin_role = "Admin"

    def _environment(self, port: int) -> dict[str, str]:
        own = {
            "AIRFLOW__CORE__AUTH_MANAGER": _MANAGER,
            # Its log-in form takes five log-ins in forty seconds, and tests are faster.
            "AIRFLOW__FAB__AUTH_RATE_LIMITED": "False",
        }
        return super()._environment(port) | own | self._more_env

    def _make_users(self) -> None:
        # `airflow db migrate` has made the tables. A user of an earlier start is left as it is.
        commands = [self._create(user, role) for user, role in self.users.items()]
        self._python("airflow users create", ["-c", _COMMANDS], self._start_timeout, json.dumps(commands))

    def _create(self, user: str, role: str) -> list[str]:
        names = ["--firstname", user, "--lastname", user, "--email", f"{user}@example.com"]
        own = ["--username", user, "--password", self.password_of(user), "--role", role]
        return ["users", "create", *own, *names]
