#!/bin/sh
# Healthy: every server that was started in this container answers a request. The request is a frame of the remoting protocol that asks for the
# broker's figures (code 28) or the NameServer's brokers (code 106); any answer will do, a refusal, too. Costs no Node process.
roles=${SKYLARK_ROLES:-/tmp/skylark-roles}

# octal NUMBER: one byte as printf wants it.
octal() { printf '\\%03o' "$1"; }

# ask PORT CODE: whether there is an answer.
ask() {
  header="{\"code\":$2,\"language\":\"JAVA\",\"version\":0,\"opaque\":1,\"flag\":0}"
  printf "\\000\\000\\000$(octal $((${#header} + 4)))\\000\\000\\000$(octal ${#header})%s" "$header" |
    timeout 2 nc 127.0.0.1 "$1" 2>/dev/null | grep -q '"code":'
}

[ -d "$roles" ] || { echo "no server was started"; exit 1; }
for role in "$roles"/*; do
  read -r question port <"$role"
  case ${role##*/} in namesrv) code=106 ;; *) code=28 ;; esac
  if [ "$question" = connect ]; then
    nc -z 127.0.0.1 "$port" 2>/dev/null
  else
    ask "$port" "$code"
  fi || { echo "${role##*/} does not answer on port $port"; exit 1; }
done
