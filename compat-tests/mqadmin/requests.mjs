// What mqadmin's commands ask of the servers, asked from here without the tool: how long the servers take, with no JVM's start in it.

import { readFileSync } from "node:fs";
import { systemClock } from "../../dist/base/clock.js";
import { Turn } from "../../dist/base/turn.js";
import { RequestCode } from "../../dist/protocol/generated/requestCodes.js";
import { RemotingClient } from "../../dist/remoting/client.js";

const ANSWER_LIMIT_MS = 60_000;
/** A clock tick of /proc, ms. */
const TICK_MS = 10;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const ofNamesrv = (name, header = {}) => ({ to: "namesrv", name, header });
const ofBroker = (name, header = {}) => ({ to: "broker", name, header });
const route = (topic) => ofNamesrv("GET_ROUTEINFO_BY_TOPIC", { topic, acceptStandardJsonOnly: true });
const clusterInfo = ofNamesrv("GET_BROKER_CLUSTER_INFO");
const topicList = ofNamesrv("GET_ALL_TOPIC_LIST_FROM_NAMESERVER");
const runtimeInfo = ofBroker("GET_BROKER_RUNTIME_INFO");
const groupsOf = (topic) => ofBroker("QUERY_TOPIC_CONSUME_BY_WHO", { topic });
const consumeStats = (consumerGroup, topic) => ofBroker("GET_CONSUME_STATS", { consumerGroup, topic });

/**
 * The requests of each command, one after another as the tool sends them, on a cluster of these topics and groups.
 * @param {{ topics: string[], groups: string[], pairs: [group: string, topic: string][] }} cluster `pairs` have offsets.
 * @returns {Map<string, { to: string, name: string, header: object }[]>}
 */
export function requestsOf({ topics, groups, pairs }) {
  const readersOf = new Map(topics.map((topic) => [topic, []]));
  const readBy = new Map(groups.map((group) => [group, []]));
  for (const [group, topic] of pairs) {
    readersOf.get(topic).push(group);
    readBy.get(group).push(topic);
  }
  return new Map([
    ["clusterList", [clusterInfo, runtimeInfo]],
    ["topicList -c", [clusterInfo, topicList, ...topics.flatMap((topic) => [route(topic), groupsOf(topic)])]],
    [
      "consumerProgress",
      [
        topicList,
        ...groups.flatMap((group) => [
          route(`%RETRY%${group}`),
          consumeStats(group),
          ...readBy.get(group).map(route),
          route(`%RETRY%${group}`),
          ofBroker("GET_CONSUMER_CONNECTION_LIST", { consumerGroup: group }),
        ]),
      ],
    ],
    [
      "statsAll",
      [
        topicList,
        ...topics.flatMap((topic) => [
          route(topic),
          groupsOf(topic),
          ofBroker("VIEW_BROKER_STATS_DATA", { statsName: "TOPIC_PUT_NUMS", statsKey: topic }),
          ...readersOf
            .get(topic)
            .flatMap((group) => [
              ofBroker("VIEW_BROKER_STATS_DATA", { statsName: "GROUP_GET_NUMS", statsKey: `${topic}@${group}` }),
              route(`%RETRY%${group}`),
              consumeStats(group, topic),
              route(topic),
            ]),
        ]),
      ],
    ],
    ["brokerStatus", [runtimeInfo]],
    ["brokerConsumeStats", [ofBroker("GET_BROKER_CONSUME_STATS", { isOrder: false })]],
  ]);
}

/** Asks one server. */
export class Asker {
  #client = new RemotingClient(systemClock, new Turn(systemClock), quiet);
  #server;

  constructor(server) {
    this.#server = server;
  }

  /**
   * Sends each request when the one before is answered.
   * @returns {Promise<{ ms: number, cpuMs: number, bytes: number, byName: Map<string, number> }>} all of it, what the server's processes
   *   computed meanwhile, the bodies' size, and ms by the requests' names.
   */
  async ask(requests) {
    const { namesrvAddr, brokerAddr, pids } = this.#server;
    const byName = new Map();
    const cpuBegan = cpuMs(pids);
    const began = performance.now();
    let bytes = 0;
    for (const { to, name, header } of requests) {
      const at = performance.now();
      const address = to === "namesrv" ? namesrvAddr : brokerAddr;
      const { body } = await this.#client.request(address, RequestCode[name], header, undefined, ANSWER_LIMIT_MS);
      bytes += body.length;
      byName.set(name, (byName.get(name) ?? 0) + performance.now() - at);
    }
    return { ms: performance.now() - began, cpuMs: cpuMs(pids) - cpuBegan, bytes, byName };
  }

  close() {
    this.#client.close();
  }
}

/** User and system time of processes so far. */
function cpuMs(pids) {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_MS;
}
