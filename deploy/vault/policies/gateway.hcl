# The gateway: shows every service's internal API the token that proves it is the gateway.
path "secret/data/suppli/internal/*" {
  capabilities = ["read"]
}
