#!/bin/sh
# Healthy: every server that was started in this container answers a request. The request is a frame of the remoting protocol that asks for the
# broker's figures (code 28) or the NameServer's brokers (code 106); any answer will do, a refusal, too. gRPC servers are
# asked in their own words, where every client must speak TLS a connection has to do. Costs no process of Node.
roles=${SKYLARK_ROLES:-/tmp/skylark-roles}

# octal NUMBER: one byte as printf wants it.
octal() { printf '\\%03o' "$1"; }

# ask PORT CODE: whether there is an answer.
ask() {
  header="{\"code\":$2,\"language\":\"JAVA\",\"version\":0,\"opaque\":1,\"flag\":0}"
  printf "\\000\\000\\000$(octal $((${#header} + 4)))\\000\\000\\000$(octal ${#header})%s" "$header" |
    timeout 2 nc 127.0.0.1 "$1" 2>/dev/null | grep -q '"code":'
}

# speaks PORT: whether a gRPC server, told HTTP/2's first words and its good-bye, says a word or hangs up: what is stuck does neither, though the
# kernel takes connections for it.
speaks() {
  heard=$({
    printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\000\000\000\004\000\000\000\000\000'
    printf '\000\000\010\007\000\000\000\000\000\000\000\000\000\000\000\000\000'
  } | { timeout 2 nc 127.0.0.1 "$1" 2>/dev/null && echo .; } | head -c 1 | wc -c)
  [ "$heard" -eq 1 ]
}

# reaches PORT: whether it takes a connection, and closes it again where this nc can tell. Not a byte is said: each would be a failed handshake in
# the server's log.
reaches() {
  case "$(nc --help 2>&1)" in
    *-z*) timeout 2 nc -z 127.0.0.1 "$1" ;;
    *) timeout 2 nc 127.0.0.1 "$1" </dev/null ;;
  esac >/dev/null 2>&1
}

[ -d "$roles" ] || { echo "no server was started"; exit 1; }
for role in "$roles"/*; do
  read -r question port <"$role"
  case ${role##*/} in namesrv) code=106 ;; *) code=28 ;; esac
  case $question in
    ask) ask "$port" "$code" ;;
    speak) speaks "$port" ;;
    *) reaches "$port" ;;
  esac || { echo "${role##*/} does not answer on port $port"; exit 1; }
done
