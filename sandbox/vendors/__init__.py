"""The servers the sandbox stands in for, one small module each, mostly data.

To add a vendor: a module with its :class:`~sandbox.authorization.Server`, and its name here.
"""

from __future__ import annotations

from sandbox.vendors import joor, jsonbody, justimmo, justlogin, multipart, standard

SERVERS = (standard.SERVER, multipart.SERVER, jsonbody.SERVER, justlogin.SERVER, justimmo.SERVER, joor.SERVER)
