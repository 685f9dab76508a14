"""Runs a real Airflow with the auth manager of Flask AppBuilder, which stores users and roles in the database.

    with FabAirflow(home=Path("airflow"), dags=Path("dags"), users={"admin": "Admin", "eve": "Viewer"}) as airflow:
        print(airflow.password_of("eve"))

Needs ``apache-airflow-providers-fab``.
"""

from __future__ import annotations

import json

from sandbox.airflow import Airflow

_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"

#: Runs several ``airflow`` commands in one process, because each process takes ten seconds to start. The arguments come
#: from standard input, because they include passwords.
_COMMANDS = """
import json, sys
from airflow.cli.cli_parser import get_parser

for command in json.load(sys.stdin):
    arguments = get_parser().parse_args(command)
    arguments.func(arguments)
"""


class FabAirflow(Airflow):
    """Airflow with Flask AppBuilder's auth manager, as a context manager.

    It has the parameters of :class:`Airflow`. The roles are ``Viewer``, ``User``, ``Op`` and ``Admin``.
    """

    admin_role = "Admin"

    def _environment(self, port: int) -> dict[str, str]:
        settings = {
            "AIRFLOW__CORE__AUTH_MANAGER": _MANAGER,
            # Its login form allows five logins in forty seconds. The tests need more.
            "AIRFLOW__FAB__AUTH_RATE_LIMITED": "False",
        }
        return super()._environment(port) | settings | self._extra_env

    def _create_users(self) -> None:
        # `airflow db migrate` has created the tables. The command does not change existing users.
        commands = [self._create_command(user, role) for user, role in self.users.items()]
        self._python("airflow users create", ["-c", _COMMANDS], self._start_timeout, json.dumps(commands))

    def _create_command(self, user: str, role: str) -> list[str]:
        login = ["--username", user, "--password", self.password_of(user), "--role", role]
        names = ["--firstname", user, "--lastname", user, "--email", f"{user}@example.com"]
        return ["users", "create", *login, *names]
