# Generated from the topic registry of suppli_contracts by `make generate`; not edited by hand.
# The connector of square: keeps its connections' tokens, reads the application's credentials.
path "secret/data/suppli/tokens/square/*" {
  capabilities = ["create", "read", "update"]
}
# What was written is destroyed, and the numbers of versions stay: deleting the metadata would begin them at 1
# again, and a replica that slept through it could write an old token over a new one.
path "secret/metadata/suppli/tokens/square/*" {
  capabilities = ["read"]
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
