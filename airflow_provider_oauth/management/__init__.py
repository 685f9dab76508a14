"""What users do with a connection's grant: see its status, test, authorize, renew, revoke and forget it."""
