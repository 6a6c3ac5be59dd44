// The whole script in its order: later commands see what earlier ones did.
import { CLUSTER, EMPTY_CLUSTER } from "./cases/cluster.mjs";
import { BROKER_CONFIG, EXPORTS, GONE, KEPT, NAMESRV } from "./cases/configs.mjs";
import { DELETE_GROUPS, MAKE_GROUPS, MODES, MONITORING, OFFSETS, PROGRESS, SHOW_GROUPS } from "./cases/groups.mjs";
import { LITE_SETTINGS, LITES, LITES_IN_USE } from "./cases/lites.mjs";
import { MESSAGES, PRINT_MESSAGES, SEND_MESSAGES, SHOW_MESSAGES } from "./cases/messages.mjs";
import { CONTROLLERS, LOCAL, USERS } from "./cases/others.mjs";
import { CHANGE_TOPICS, DELETE_TOPICS, MAKE_TOPICS, SHOW_TOPICS, STATIC_TOPICS } from "./cases/topics.mjs";
import { consume, restart, send, stop } from "./lib.mjs";

const PREPARE = [
  send(MESSAGES),
  consume("OnlineGroup", "AdminTopic", "TagA || TagB", MESSAGES.length),
  consume("OfflineGroup", "AdminTopic", "*", MESSAGES.length),
  stop("OfflineGroup"),
];

export const SCRIPT = [
  ...EMPTY_CLUSTER,
  ...MAKE_TOPICS,
  ...SHOW_TOPICS,
  ...CHANGE_TOPICS,
  ...MAKE_GROUPS,
  ...PREPARE,
  ...SHOW_GROUPS,
  ...PROGRESS,
  ...SHOW_MESSAGES,
  ...PRINT_MESSAGES,
  ...CLUSTER,
  ...OFFSETS,
  ...MODES,
  ...SEND_MESSAGES,
  ...NAMESRV,
  ...BROKER_CONFIG,
  ...EXPORTS,
  ...CONTROLLERS,
  ...USERS,
  ...LITES,
  ...LOCAL,
  ...STATIC_TOPICS,
  restart(),
  ...KEPT,
  ...DELETE_GROUPS,
  ...DELETE_TOPICS,
  restart(LITE_SETTINGS),
  ...GONE,
  ...LITES_IN_USE,
  ...MONITORING,
];
