/**
 * The NameServer's configuration: every option of Apache's NamesrvConfig, NettyServerConfig and NettyClientConfig.
 * Mirrors NamesrvStartup.
 */
import { checkPorts, checkPositive } from "./checks.ts";
import { type Configuration, type Loaded, load, type Updated, update } from "./config.ts";
import { NAMESRV_OPTIONS, type NamesrvOptions } from "./generated/namesrvOptions.ts";
import { LOOPBACK_MACHINE, type Machine } from "./machine.ts";
import { NAMESRV_HELP } from "./namesrvHelp.ts";
import { ConfigError } from "./option.ts";
import { optionTable } from "./table.ts";
import { TLS_KEYS } from "./tls.ts";

export type NamesrvConfig = Configuration<NamesrvOptions>;

export const NAMESRV_TABLE = optionTable(NAMESRV_OPTIONS, { listenPort: "9876" }, NAMESRV_HELP, ["NettyClientConfig"]);

/** The configuration of a NameServer from the entries of its properties file. @throws ConfigError naming every wrong value. */
export function loadNamesrvConfig(
  entries: ReadonlyMap<string, string>,
  machine: Machine = LOOPBACK_MACHINE,
): Loaded<NamesrvOptions> {
  const loaded = load<NamesrvOptions>(NAMESRV_TABLE, entries, machine);
  const problems = check(loaded.config);
  if (problems.length > 0) throw new ConfigError(problems);
  return loaded;
}

/** A change by `mqadmin updateNamesrvConfig`. Refuses wrong values as a whole; see {@link update}. @throws ConfigError */
export function updateNamesrvConfig(config: NamesrvConfig, entries: ReadonlyMap<string, string>): Updated {
  const trial: NamesrvConfig = { ...config, given: new Map(config.given), pending: new Map(config.pending) };
  update(NAMESRV_TABLE, trial, entries);
  const problems = check(trial);
  if (problems.length > 0) throw new ConfigError(problems);
  return update(NAMESRV_TABLE, config, entries);
}

/** Keys that `mqadmin updateNamesrvConfig` may not touch (DefaultRequestProcessor.initConfigBlackList), and those of TLS. */
export function forbiddenNamesrvKeys(config: NamesrvConfig): Set<string> {
  const fixed = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];
  return new Set([...fixed, ...TLS_KEYS, ...config.configBlackList.split(";")]);
}

function check(config: NamesrvConfig): string[] {
  return [...checkPorts(config, ["listenPort"]), ...checkPositive(config, ["scanNotActiveBrokerInterval"])];
}
