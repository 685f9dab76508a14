"""A local authorization server and API, for the demo and for the tests.

The sandbox issues and validates real (random) tokens. It refuses what the real servers refuse: a wrong content type,
wrong client authentication, expired, revoked or reused tokens, missing or repeated parameters.

Start it on the command line with ``python -m sandbox --port 0 --state DIR``, or in a test, in this process::

    with serve(tmp_path, clock=lambda: now) as sandbox:
        sandbox.state.add_client("standard", "reports", "fake-secret", scopes=["read"])
        requests.post(f"{sandbox.url}/standard/token", ...)
        sandbox.state.inject_fault("standard", "token", times=2, status=503)
        sandbox.state.counts()["reports"]["token_requests"]

or in a separate process, for tests with several processes::

    with SandboxProcess(state_dir) as sandbox:
        sandbox.control("clients", {"server": "standard", "client_id": "reports", "client_secret": "fake-secret"})
        sandbox.control("counts")

============================= ==========================================================================================
``/<server>/token``           token endpoint of the servers ``standard``, ``multipart`` and ``jsonbody``
``/<server>/authorize``       login and consent page of ``standard`` and ``jsonbody``
``/<server>/revoke``          revocation endpoint of ``standard`` and ``jsonbody``
``/<server>/.well-known/...`` metadata of ``standard`` and ``jsonbody``
``/<server>/api/...``         API of these servers: items, items/{id}, items/search, tickets, ready/{key}, jobs/{key},
                              admin, redirect, whoami
``/shop/...``                 as ``standard``, with another API: customers, customers/{id}/orders,
                              customers/search, orders, tickets, exports/{id}
``/justlogin/...``            the vendor's paths; the token endpoint is ``v1/auth/connect/token``
``/justimmo/...``             the vendor's paths; the token endpoint is ``access_token``
``/joor/...``                 the vendor's paths; the token endpoint is ``auth/``
``/_control/...``             clients, grants, codes, counts, counts/reset, issued, faults, faults/clear, revoke
============================= ==========================================================================================

Modules, each imports only modules below it:

- ``demo``: runs all example DAGs. ``playground``: keeps Airflow running. ``examples``: the connections of both.
- ``airflow``, ``celery_airflow``, ``fab_airflow``: start a real Airflow. ``user_agent``: a browser without a screen.
- ``server``: runs the sandbox. ``vendors``: the configuration of each server.
- ``token_endpoint``, ``authorization_endpoint``, ``revocation``, ``metadata``, ``api``, ``control``: the routes.
- ``bodies``, ``client_auth``, ``errors``, ``faults``, ``pkce``, ``tickets``: parts of the routes.
- ``server_config``: how servers differ. ``state``: tokens and counters. ``records``: what the state stores.
- ``services``, ``processes``, ``private_file``, ``host``: processes and files.
- ``vendor_server``: plays any vendor from its example in ``tests/vendors``. ``connect_proxy``: the proxy it runs in.
- ``vendor_matching``: compares a request with a documented one. ``vendor_example``: reads the examples.
- ``certificates``: a certificate authority.
"""
