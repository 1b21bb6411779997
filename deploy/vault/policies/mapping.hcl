# The token that callers of this service's internal API must show.
path "secret/data/suppli/internal/mapping" {
  capabilities = ["read"]
}
