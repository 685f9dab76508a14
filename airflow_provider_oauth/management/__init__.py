"""Actions on a connection's grant: show its status, and test, authorize, renew, revoke and forget it."""
