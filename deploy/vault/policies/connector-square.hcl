# The Square connector: keeps its connections' tokens, reads the application's credentials.
path "secret/data/suppli/tokens/square/*" {
  capabilities = ["create", "read", "update", "delete"]
}
# Deleting the metadata destroys a secret with all its versions: nothing is left of a disconnected account.
path "secret/metadata/suppli/tokens/square/*" {
  capabilities = ["create", "read", "update", "delete"]
}
path "secret/delete/suppli/tokens/square/*" {
  capabilities = ["create", "update"]
}
path "secret/destroy/suppli/tokens/square/*" {
  capabilities = ["create", "update"]
}
path "secret/data/suppli/app/square" {
  capabilities = ["read"]
}
path "secret/data/suppli/internal/connector-square" {
  capabilities = ["read"]
}
