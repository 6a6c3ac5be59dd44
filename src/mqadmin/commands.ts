/** The commands that this mqadmin has, and the names of those that only the official one has. */
import { deleteTopic, updateTopic } from "./changeTopics.ts";
import { brokerStatus, clusterList } from "./clusterCommands.ts";
import type { Command } from "./command.ts";
import { getBrokerConfig, getNamesrvConfig, updateBrokerConfig } from "./configCommands.ts";
import { consumeMessage } from "./consumeMessage.ts";
import { consumerProgress } from "./consumerProgress.ts";
import { consumerConnection, updateSubGroup } from "./groupCommands.ts";
import { queryMsgById, queryMsgByKey } from "./messageCommands.ts";
import { resetOffsetByTime } from "./resetOffset.ts";
import { sendMessage } from "./sendMessage.ts";
import { topicList, topicRoute, topicStatus } from "./topicCommands.ts";

export const COMMANDS: readonly Command[] = [
  updateTopic,
  deleteTopic,
  updateSubGroup,
  updateBrokerConfig,
  topicRoute,
  topicStatus,
  brokerStatus,
  queryMsgById,
  queryMsgByKey,
  consumerConnection,
  consumerProgress,
  clusterList,
  topicList,
  resetOffsetByTime,
  getNamesrvConfig,
  getBrokerConfig,
  sendMessage,
  consumeMessage,
];

/** By its name in any case, as the official tool finds it. */
export function commandNamed(name: string): Command | undefined {
  return COMMANDS.find((command) => command.name.toLowerCase() === name.toLowerCase());
}
