# Generated from the topic registry of suppli_contracts by `make generate`; not edited by hand.
# The connector of clover: keeps its connections' tokens, reads the application's credentials.
path "secret/data/suppli/tokens/clover/*" {
  capabilities = ["create", "read", "update"]
}
# What was written is destroyed, and the numbers of versions stay: deleting the metadata would begin them at 1
# again, and a replica that slept through it could write an old token over a new one.
path "secret/metadata/suppli/tokens/clover/*" {
  capabilities = ["read"]
}
path "secret/destroy/suppli/tokens/clover/*" {
  capabilities = ["create", "update"]
}
path "secret/data/suppli/app/clover" {
  capabilities = ["read"]
}
path "secret/data/suppli/internal/connector-clover" {
  capabilities = ["read"]
}
