#!/bin/sh
# OpenBao takes these from its environment alone. Read from files here, they stay out of the container's description.
set -eu
BAO_PG_CONNECTION_URL=$(cat /run/secrets/openbao-database-url)
OPERATOR_ROLE_ID=$(cat /run/secrets/operator-role-id)
OPERATOR_SECRET_ID=$(cat /run/secrets/operator-secret-id)
OPERATOR_POLICY=$(cat /openbao/config/operator.hcl)
export BAO_PG_CONNECTION_URL OPERATOR_ROLE_ID OPERATOR_SECRET_ID OPERATOR_POLICY
exec bao server -config=/openbao/config/server.hcl
