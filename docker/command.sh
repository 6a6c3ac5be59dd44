#!/bin/sh
# One of Apache's commands, by the name of this file: mqnamesrv, mqbroker, mqproxy, mqadmin; and skylark. A shell script like Apache's, so that
# `sh mqbroker` works, too. Servers leave word of their port for healthcheck.sh.
name=${0##*/}
roles=${SKYLARK_ROLES:-/tmp/skylark-roles}

# option FLAG... -- ARGUMENT...: the value of the last of these flags among the arguments.
option() {
  flags=" "
  while [ "$1" != -- ]; do flags="$flags$1 "; shift; done
  shift
  found=
  while [ $# -gt 0 ]; do
    case "$flags" in *" $1 "*) found=$2 ;; esac
    shift
  done
  printf %s "$found"
}

# property FILE KEY: what a properties file says of a key.
property() {
  [ -f "$1" ] && sed -n "s/^[[:space:]]*$2[[:space:]]*[=:][[:space:]]*//p" "$1" | tail -n 1 | tr -d '\r '
}

# serves ROLE PORT [speak]: a line for healthcheck.sh, whose three questions are ask, speak and reach. Where every client must speak TLS, a plain question is not answered.
serves() {
  question=${3:-ask}
  case "$JAVA_OPT_EXT $JAVA_OPT $JAVA_TOOL_OPTIONS $(property "$file" tls.server.mode)" in *enforcing*) question=reach ;; esac
  { mkdir -p "$roles" && echo "$question $2" >"$roles/$1"; } 2>/dev/null || :
}

file=$(option -c --configFile -bc --brokerConfigPath -- "$@")
broker_port() {
  port=$(option --listen-port -- "$@")
  port=${port:-${ROCKETMQ_BROKER_listenPort:-$(property "$file" listenPort)}}
  echo "${port:-10911}"
}

printing=
for argument; do
  case $argument in -p | -m | -h | --help | --print*) printing=yes ;; esac
done

case $printing$name in
  mqnamesrv)
    port=${ROCKETMQ_NAMESRV_listenPort:-$(property "$file" listenPort)}
    serves namesrv "${port:-9876}"
    ;;
  mqbroker) serves broker "$(broker_port "$@")" ;;
  mqproxy)
    proxy=$(option -pc --proxyConfigPath -- "$@")
    port=$([ -f "$proxy" ] && sed -n 's/.*"grpcServerPort"[^0-9]*\([0-9]*\).*/\1/p' "$proxy")
    serves proxy "${port:-8081}" speak
    ;;
  skylark)
    if [ "$1" = start ]; then
      serves broker "$(broker_port "$@")"
      port=$(option --namesrv-port -- "$@")
      [ -n "$(option -n --namesrvAddr -- "$@")" ] || serves namesrv "${port:-9876}"
    fi
    ;;
esac
exec node "/opt/skylark/bin/$name" "$@"
