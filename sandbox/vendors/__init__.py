"""The servers of the sandbox, one small module each, mostly data.

To add a vendor, write a module with its :class:`~sandbox.server_config.ServerConfig` and add it to :data:`SERVERS`.
"""

from __future__ import annotations

from sandbox.vendors import joor, jsonbody, justimmo, justlogin, multipart, shop, standard

SERVERS = (
    standard.SERVER,
    multipart.SERVER,
    jsonbody.SERVER,
    shop.SERVER,
    justlogin.SERVER,
    justimmo.SERVER,
    joor.SERVER,
)
