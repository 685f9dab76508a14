"""Shows: fetching the users of JustLogin into a file, and the leave types of each user into one file per user.

It needs the connection ``example_justlogin``, and the consent of a JustLogin user: on Airflow's page *Admin > OAuth
connections* click *Authorize*, or run ``airflow oauth authorize example_justlogin``. If you have a refresh token from
another tool, such as Postman, set ``grant_type`` to ``refresh_token`` and add it as ``refresh_token`` instead.

    AIRFLOW_CONN_EXAMPLE_JUSTLOGIN='{"conn_type": "justlogin", "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"environment": "sandbox", "grant_type": "authorization_code", "leeway": 60}}'
"""

import os

from airflow.sdk import dag, task

from airflow_provider_oauth.operators.justlogin import JustLoginListLeaveTypesOperator, JustLoginListUsersOperator

# This can be a folder in any storage that Airflow supports, such as s3://conn_id@bucket/folder.
FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_justlogin"})
def example_justlogin():
    # The rows are written to the file. Only the IDs are stored in XCom, for the mapped task.
    users = JustLoginListUsersOperator(
        task_id="fetch_users",
        include=["department", "employment"],
        path=FOLDER + "/users-{{ run_id }}.jsonl",
        xcom_fields="{user_guid: userGuid, company_guid: companyGuid}",
    )

    @task
    def first_three(users):
        return users[:3]  # to keep the demo short

    # Each mapped task needs its own file.
    JustLoginListLeaveTypesOperator.partial(
        task_id="fetch_leave_types",
        year="{{ dag_run.run_after.year }}",
        path=FOLDER + "/leave-types-{{ run_id }}-{{ ti.map_index }}.jsonl",
    ).expand_kwargs(first_three(users.output))


example_justlogin()
