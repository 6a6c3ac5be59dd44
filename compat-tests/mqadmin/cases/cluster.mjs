// The cluster, its broker and what it counts.
import { run, short } from "../lib.mjs";

/** Figures of the moment in clusterList: rates, times, page cache, hours, disk. */
const RATES = [/\b\d+\.\d+(\([^)]*\))?/g, "<rate>"];
/** Seconds and messages that the timer is behind. */
const TIMER = [/ \d+-\d+(?=\()/g, " <timer>"];

export const EMPTY_CLUSTER = [
  short("clusterList", { mask: [TIMER, RATES] }),
  run("clusterList -c {cluster}", { mask: [TIMER, RATES] }),
  run("clusterList -c NoSuchCluster"),
  run("clusterList -m", { mask: [TIMER, RATES] }),
  short("topicList", { sort: true }),
  run("topicList -c", { sort: true }),
];

/** Figures of brokerStatus that are the moment's; the others are equal. */
const MOMENT =
  "bootTimestamp|runtime|\\w+Tps|\\w*DiskRatio\\S*|commitLogDirCapacity|earliestMessageTimeStamp|putLatency\\d+|putMessageDistributeTime|\\w+TimeMax|timerReadBehind|timerOffsetBehind|\\w+HeadWaitTimeMills|pageCacheLockTimeMills|remainHowManyDataToFlush";
const STATUS = [new RegExp(`^((?:\\S+:\\d+ +|<broker> +)?(?:${MOMENT}) *: ).*$`, "gm"), "$1<value>"];

export const CLUSTER = [
  short("brokerStatus -b {broker}", { mask: [STATUS] }),
  run("brokerStatus -c {cluster}", { mask: [STATUS] }),
  run("brokerStatus -c NoSuchCluster"),
  run("brokerStatus"),
  run("haStatus -b {broker}"),
  run("haStatus -c {cluster}"),
  run("haStatus"),
  run("resetMasterFlushOffset -b {broker} -o 0"),
  run("getBrokerEpoch -b {brokerName}"),
  run("getBrokerEpoch -c {cluster}"),
  run("sendMsgStatus -b {brokerName} -c 2", {
    mask: [
      [/rt:?\s*=?\s*\d+ ?(ms)?/gi, "rt <ms>"],
      [/\d+ms/g, "<ms>"],
    ],
  }),
  run("clusterRT -a 3 -s 16 -i 60", { endlessMs: 6_000, until: /broker-a/, mask: [[/\b\d+\.\d+/g, "<rt>"]] }),
];
