"""JustLogin: all users into a file, then the types of leave that each of them has.

Needs the connection ``example_justlogin``, to which a user of JustLogin has consented: in Airflow's page *Admin > OAuth
connections* click *Authorize*, or run ``airflow oauth authorize example_justlogin``. With a refresh token from another
tool (JustLogin's documents show Postman) nobody has to: grant type refresh_token, and the token as ``refresh_token``.

    AIRFLOW_CONN_EXAMPLE_JUSTLOGIN='{"conn_type": "justlogin", "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"environment": "sandbox", "grant_type": "authorization_code", "leeway": 60}}'
"""

import os

from airflow.sdk import dag, task

from airflow_provider_oauth.operators.justlogin import JustLoginListLeaveTypesOperator, JustLoginListUsersOperator

# Any storage that Airflow knows will do: s3://conn_id@bucket/folder.
FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_justlogin"})
def example_justlogin():
    # The rows go to the file; to XCom go no more than the IDs, for the tasks below.
    users = JustLoginListUsersOperator(
        task_id="list_users",
        include=["department", "employment"],
        path=FOLDER + "/users-{{ run_id }}.jsonl",
        xcom_fields="{user_guid: userGuid, company_guid: companyGuid}",
    )

    @task
    def some(users):
        return users[:3]  # for the demo

    JustLoginListLeaveTypesOperator.partial(
        task_id="list_leave_types",
        year="{{ dag_run.run_after.year }}",
        xcom_fields="leaveName",
    ).expand_kwargs(some(users.output))


example_justlogin()
