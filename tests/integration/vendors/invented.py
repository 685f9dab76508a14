"""The example of a vendor that does not exist."""

INVENTED = """
documentation = ["https://developers.example.com/docs"]
read = 2026-11-28

[connection]
grant_type = "authorization_code"
login = "CLIENT_ID"
password = "CLIENT_SECRET"
host = "https://api.example.com"
grant_url = "https://login.example.com/token"
authorize_url = "https://login.example.com/authorize"
client_auth = "client_secret_basic"
scope = "read"
endpoint = "v1/items"
records_path = "data.items"

[authorize]
url = "https://login.example.com/authorize"
params = { response_type = "code", client_id = "CLIENT_ID", scope = "read", redirect_uri = "*", state = "*" }
optional = { code_challenge = "*", code_challenge_method = "S256" }
absent = ["client_secret"]
callback = { code = "CODE" }

[token]
url = "https://login.example.com/token"
headers = { Authorization = "Basic Q0xJRU5UX0lEOkNMSUVOVF9TRUNSRVQ=" }
params = { grant_type = "authorization_code", code = "CODE", redirect_uri = "*" }
optional = { code_verifier = "*" }
absent = ["client_secret"]
[token.response]
headers = { Content-Type = "application/json" }
body = '{"access_token": "ACCESS_1", "refresh_token": "REFRESH_1", "token_type": "bearer", "expires_in": 3600}'

[refresh]
url = "https://login.example.com/token"
headers = { Authorization = "Basic *" }
params = { grant_type = "refresh_token", refresh_token = "REFRESH_1" }
[refresh.response]
headers = { Content-Type = "application/json" }
body = '{"access_token": "ACCESS_2", "refresh_token": "REFRESH_2", "token_type": "bearer", "expires_in": 3600}'

[[list]]
url = "https://api.example.com/v1/items"
headers = { Authorization = "Bearer ACCESS_1" }
[list.response]
headers = { Content-Type = "application/json" }
rows = ['{"id": 1}', '{"id": 2}']
repeat = 2
body = '{"data": {"items": [ROWS]}, "links": {"next": "https://api.example.com/v1/items?page=2"}}'

[[list]]
url = "https://api.example.com/v1/items"
params = { page = 2 }
headers = { Authorization = "Bearer ACCESS_1" }
[list.response]
headers = { Content-Type = "application/json" }
body = '{"data": {"items": [{"id": 3}]}, "links": {"next": null}}'

[limit]
status = 429
headers = { X-RateLimit-Reset = "{now+30}", X-RateLimit-Remaining = "0" }
wait = 30

[error]
status = 400
headers = { Content-Type = "application/json" }
body = '{"message": "There is no such field"}'
text = "There is no such field"

[token_error]
status = 400
headers = { Content-Type = "application/json" }
body = '{"error": "invalid_grant", "error_description": "The refresh token is revoked"}'
"""
