/** Requests about the NameServer's own configuration, as text of java.util.Properties. */
import {
  ConfigError,
  effectiveConfig,
  forbiddenNamesrvKeys,
  formatProperties,
  parseProperties,
  updateNamesrvConfig,
} from "../config/index.ts";
import { type Call, type Reply, type Row, row } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { type NamesrvContext, SUCCESS, systemError, withBody } from "./context.ts";

export function configRows(context: NamesrvContext): Row[] {
  return [
    row(RequestCode.GET_NAMESRV_CONFIG, "GET_NAMESRV_CONFIG", undefined, () =>
      withBody(formatProperties(effectiveConfig(context.config))),
    ),
    row(RequestCode.UPDATE_NAMESRV_CONFIG, "UPDATE_NAMESRV_CONFIG", undefined, (call) => updateConfig(context, call)),
  ];
}

/** Apache answers success whatever happens; here a wrong value, or a change that is not kept, is refused with the reason. */
async function updateConfig({ config, configFile, log }: NamesrvContext, { body, caller }: Call): Promise<Reply> {
  let entries: Map<string, string>;
  try {
    entries = parseProperties(body.toString("utf8"));
  } catch (error) {
    return systemError((error as Error).message);
  }
  const forbidden = forbiddenNamesrvKeys(config);
  if ([...entries.keys()].some((key) => forbidden.has(key))) {
    return { code: ResponseCode.NO_PERMISSION, remark: "Can not update config in black list." };
  }
  try {
    const { changed, pending, warnings } = updateNamesrvConfig(config, entries);
    log.info({ by: caller.address, changed, pending, warnings }, "configuration updated");
  } catch (error) {
    if (error instanceof ConfigError) return systemError(error.message);
    throw error;
  }
  try {
    await configFile?.write(() => formatProperties(effectiveConfig(config)));
  } catch (error) {
    return systemError(`the change acts until the next start, but could not be written: ${(error as Error).message}`);
  }
  return SUCCESS;
}
