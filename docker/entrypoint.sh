#!/bin/sh
# Without a command, or with `start` and its flags: everything in one process, for whoever reaches the container. Any other command is run as
# it is, so that what was written for Apache's image works unchanged.
set -e

# Tells every process, and lets the servers finish.
stop() {
  trap "" TERM INT
  kill -TERM -1
  while kill -0 -1 2>/dev/null; do sleep 0.1; done
  exit 143
}

case ${1:-start} in
  start | -*)
    [ "${1:-}" != start ] || shift
    # Somebody else's NameServer instead of an own one.
    [ -z "$NAMESRV_ADDR" ] || set -- -n "$NAMESRV_ADDR" "$@"
    exec skylark start --bind 0.0.0.0 --store /home/rocketmq/store "$@"
    ;;
  sh | /bin/sh | ash)
    # A shell as process 1 hears no SIGTERM and hands none on: `docker stop` would wait ten seconds and kill. Terminals keep theirs.
    if [ "$$" = 1 ] && [ ! -t 0 ]; then
      "$@" <&0 &
      child=$!
      trap stop TERM INT
      set +e
      wait "$child"
      exit $?
    fi
    exec "$@"
    ;;
  *) exec "$@" ;;
esac
