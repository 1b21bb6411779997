# OpenBao for demo, tests and development. The runtime fills in what is in braces; the database's address comes from
# the environment (BAO_PG_CONNECTION_URL).
storage "postgresql" {}
seal "static" {
  current_key_id = "embedded-1"
  current_key    = "file://${key_file}"
}
listener "tcp" {
  address     = "${address}"
  tls_disable = true
}
api_addr = "http://${address}"
audit "file" "to-file" {
  options = { file_path = "${audit_file}" }
}
# Runs once, at the first start. No root token is left over: the operator's AppRole is the way in, and the runtime
# uses it to bring every service's policy and role up to date at each start.
initialize "suppli" {
  request "kv" {
    operation = "update"
    path      = "sys/mounts/secret"
    data      = { type = "kv", options = { version = "2" } }
  }
  request "approle" {
    operation = "update"
    path      = "sys/auth/approle"
    data      = { type = "approle" }
  }
  request "operator-policy" {
    operation = "update"
    path      = "sys/policies/acl/operator"
    data      = { policy = { eval_type = "string", eval_source = "env", env_var = "OPERATOR_POLICY" } }
  }
  request "operator-role" {
    operation = "update"
    path      = "auth/approle/role/operator"
    data      = { token_policies = ["operator"], token_ttl = "15m", token_max_ttl = "1h" }
  }
  request "operator-role-id" {
    operation = "update"
    path      = "auth/approle/role/operator/role-id"
    data      = { role_id = { eval_type = "string", eval_source = "env", env_var = "OPERATOR_ROLE_ID" } }
  }
  request "operator-secret-id" {
    operation = "update"
    path      = "auth/approle/role/operator/custom-secret-id"
    data      = { secret_id = { eval_type = "string", eval_source = "env", env_var = "OPERATOR_SECRET_ID" } }
  }
}
