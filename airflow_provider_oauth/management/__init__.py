"""What a person does with the grant of a connection: status, test, authorize, renew, revoke, forget."""
