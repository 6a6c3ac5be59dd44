/** BrokerMemberGroup inside GetBrokerMemberGroupResponseBody: the master and slaves of one broker name. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { BodyError, integerKey, readBean, toText } from "./reader.ts";

export interface BrokerMemberGroup {
  /** Broker id to `ip:port`. */
  brokerAddrs: Map<number, string>;
  brokerName: string;
  cluster: string;
}

export function encodeBrokerMemberGroup(brokerMemberGroup: BrokerMemberGroup): string {
  return writeJavaJson({ brokerMemberGroup });
}

export function decodeBrokerMemberGroup(body: Buffer | string): BrokerMemberGroup {
  const group = readBean("GetBrokerMemberGroupResponseBody", body).bean("brokerMemberGroup", (bean) => ({
    brokerAddrs: bean.map("brokerAddrs", integerKey, toText) ?? new Map<number, string>(),
    brokerName: bean.text("brokerName") ?? "",
    cluster: bean.text("cluster") ?? "",
  }));
  if (group === undefined) throw new BodyError("GetBrokerMemberGroupResponseBody: brokerMemberGroup is missing");
  return group;
}
