# Generated from the topic registry of suppli_contracts by `make generate`; not edited by hand.
# The connector of upload: files need no authorization, so it keeps no secret of anybody's.
path "secret/data/suppli/internal/connector-upload" {
  capabilities = ["read"]
}
