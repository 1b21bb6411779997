# The operator: registers applications with providers, hands out internal tokens, admits services. No provider tokens.
path "secret/data/suppli/app/*" {
  capabilities = ["create", "read", "update", "delete"]
}
path "secret/metadata/suppli/app/*" {
  capabilities = ["read", "list", "delete"]
}
path "secret/destroy/suppli/app/*" {
  capabilities = ["update"]
}
path "secret/destroy/suppli/internal/*" {
  capabilities = ["update"]
}
path "secret/data/suppli/internal/*" {
  capabilities = ["create", "read", "update", "delete"]
}
path "secret/metadata/suppli/internal/*" {
  capabilities = ["read", "list", "delete"]
}
path "sys/policies/acl/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}
path "auth/approle/role/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}
path "sys/seal" {
  capabilities = ["update", "sudo"]
}
path "sys/audit" {
  capabilities = ["read", "sudo"]
}
