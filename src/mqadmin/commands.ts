/** The commands that this mqadmin has. Each is loaded when it is called: a third of the program's time would go into the others. */
import type { Command } from "./command.ts";

const LOADERS: Readonly<Record<string, () => Promise<Command>>> = {
  updateTopic: async () => (await import("./changeTopics.ts")).updateTopic,
  deleteTopic: async () => (await import("./changeTopics.ts")).deleteTopic,
  updateSubGroup: async () => (await import("./groupCommands.ts")).updateSubGroup,
  updateBrokerConfig: async () => (await import("./configCommands.ts")).updateBrokerConfig,
  topicRoute: async () => (await import("./topicCommands.ts")).topicRoute,
  topicStatus: async () => (await import("./topicCommands.ts")).topicStatus,
  brokerStatus: async () => (await import("./clusterCommands.ts")).brokerStatus,
  queryMsgById: async () => (await import("./messageCommands.ts")).queryMsgById,
  queryMsgByKey: async () => (await import("./messageCommands.ts")).queryMsgByKey,
  consumerConnection: async () => (await import("./groupCommands.ts")).consumerConnection,
  consumerProgress: async () => (await import("./consumerProgress.ts")).consumerProgress,
  clusterList: async () => (await import("./clusterCommands.ts")).clusterList,
  topicList: async () => (await import("./topicCommands.ts")).topicList,
  resetOffsetByTime: async () => (await import("./resetOffset.ts")).resetOffsetByTime,
  getNamesrvConfig: async () => (await import("./configCommands.ts")).getNamesrvConfig,
  getBrokerConfig: async () => (await import("./configCommands.ts")).getBrokerConfig,
  sendMessage: async () => (await import("./sendMessage.ts")).sendMessage,
  consumeMessage: async () => (await import("./consumeMessage.ts")).consumeMessage,
};

export const COMMAND_NAMES: readonly string[] = Object.keys(LOADERS);

/** By its name in any case, as the official tool finds it; undefined when it is not one of ours. */
export async function commandNamed(name: string): Promise<Command | undefined> {
  const known = COMMAND_NAMES.find((one) => one.toLowerCase() === name.toLowerCase());
  return known === undefined ? undefined : LOADERS[known]();
}

/** All of them, for the overview. */
export function allCommands(): Promise<Command[]> {
  return Promise.all(Object.values(LOADERS).map((load) => load()));
}
