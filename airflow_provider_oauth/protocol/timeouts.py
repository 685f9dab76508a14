"""Timeouts of the requests to the authorization server, in seconds.

They are in a separate module, so that the lease can use them without importing the modules that send requests.
"""

from __future__ import annotations

#: Maximum time to connect. It covers the DNS lookup and the attempts to connect to each address.
CONNECT_TIMEOUT = 5.0
#: Timeout of an exchange. An exchange is discovery and all attempts to send the request.
EXCHANGE_TIMEOUT = 20.0
#: Maximum duration of an exchange: its timeout, and a margin for steps that the timeout does not limit, such as reading
#: CA certificates.
MAX_EXCHANGE_TIME = EXCHANGE_TIMEOUT + CONNECT_TIMEOUT
