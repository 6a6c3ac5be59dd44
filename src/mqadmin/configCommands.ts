/** getBrokerConfig, updateBrokerConfig, getNamesrvConfig (Apache: the commands of the same names). */
import { PERM_PRIORITY } from "../protocol/bodies/topicConfig.ts";
import { brokersOf, type Command, type Context, mastersOf, membersOf, NothingNamed } from "./command.ts";
import { optional, required } from "./commandLine.ts";
import { brokerFailure, clientFailure, parseLong } from "./failures.ts";
import { format } from "./format.ts";

const NO_PERMISSION = 16;
const ROW = "%-50s=  %s\n";

export const getBrokerConfig: Command = {
  name: "getBrokerConfig",
  className: "GetBrokerConfigCommand",
  description: "Get broker config by cluster or special broker.",
  options: [optional("b", "brokerAddr", "get which broker"), optional("c", "clusterName", "get which cluster")],
  async run(context, given) {
    const address = given.text("b");
    if (address !== undefined) return show(context, `============${address}============\n`, address);
    const cluster = given.text("c");
    if (cluster === undefined) return;
    for (const { master, slaves } of await brokersOf(context, cluster)) {
      const title = `============Master: ${master ?? "NO_MASTER"}============\n`;
      if (master === undefined) context.print(title);
      else await show(context, title, master);
      for (const slave of slaves) {
        const of = `============My Master: ${master ?? "NO_MASTER"}=====Slave: ${slave}============\n`;
        await show(context, of, slave);
      }
    }
  },
};

async function show(context: Context, title: string, address: string): Promise<void> {
  context.print(title);
  for (const [key, value] of await context.admin.brokerConfig(address)) context.print(format(ROW, key, value));
  context.print("\n");
}

export const updateBrokerConfig: Command = {
  name: "updateBrokerConfig",
  className: "UpdateBrokerConfigSubCommand",
  description: "Update broker's config.",
  options: [
    optional("b", "brokerAddr", "update which broker"),
    optional("c", "clusterName", "update which cluster"),
    optional("a", "updateAllBroker", "update all brokers include slave"),
    required("k", "key", "config key"),
    required("v", "value", "config value"),
  ],
  async run(context, given) {
    const [key, value] = [given.must("k"), given.must("v")];
    const address = given.text("b");
    if (address !== undefined) return update(context, address, key, value);
    const cluster = given.text("c");
    if (cluster === undefined) throw new NothingNamed();
    for (const member of await (given.has("a") ? membersOf : mastersOf)(context, cluster)) {
      try {
        await update(context, member, key, value);
      } catch (error) {
        context.complain(error);
      }
    }
  },
};

async function update(context: Context, address: string, key: string, value: string): Promise<void> {
  if (key === "brokerPermission" && (parseLong(value) < 0 || parseLong(value) >= PERM_PRIORITY)) {
    throw clientFailure(NO_PERMISSION, `brokerPermission value: ${value} is invalid.`);
  }
  const answer = await context.admin.ask(address, "UPDATE_BROKER_CONFIG", {}, `${key}=${value}\n`);
  if (answer.code !== 0) throw brokerFailure(answer.code, answer.remark, address);
  context.print(`update broker config success, ${address}\n`);
}

export const getNamesrvConfig: Command = {
  name: "getNamesrvConfig",
  className: "GetNamesrvConfigCommand",
  description: "Get configs of name server.",
  options: [],
  async run(context) {
    for (const address of context.admin.nameServers) {
      const entries = await context.admin.namesrvConfig(address);
      context.print(`============${address}============\n`);
      for (const [key, value] of entries) context.print(format(ROW, key, value));
    }
  },
};
