/**
 * `skylark doctor`: looks at a cluster from where clients run, and at what users get wrong, and says for each finding what to do about
 * it. Changes nothing, and asks only what the official tools ask, so that it works on Apache's brokers, too.
 */
import { lookup } from "node:dns/promises";
import { systemClock } from "../../base/clock.ts";
import { Admin } from "../admin.ts";
import type { Signer } from "../credentials.ts";
import { error, type Finding, show, verdict } from "./finding.ts";
import { groupFindings } from "./group.ts";
import { brokerFindings, machineFindings, nameServerFindings, type Surroundings } from "./servers.ts";
import { topicFindings } from "./topic.ts";

export interface DoctorQuestion {
  /** `host:port;host:port` */
  namesrvAddr: string | undefined;
  topic?: string | undefined;
  group?: string | undefined;
  /** Signs all that is asked; absent: nothing is signed. */
  sign?: Signer | undefined;
}

/**
 * Prints findings as they come; the exit status (see finding.ts).
 * @param openFilesMax see {@link Surroundings.openFilesMax}
 */
export async function doctor(
  question: DoctorQuestion,
  print: (text: string) => void,
  openFilesMax: () => number | undefined,
): Promise<number> {
  const admin = new Admin(question.namesrvAddr, question.sign);
  const findings: Finding[] = [];
  const around: Surroundings = {
    servers: admin,
    now: () => systemClock.now(),
    lookup: async (host) => (await lookup(host)).address,
    openFilesMax,
  };
  const tell = (found: readonly Finding[]): void => {
    for (const finding of found) print(show(finding));
    findings.push(...found);
  };
  try {
    const nameServers = await nameServerFindings(around);
    tell(nameServers);
    if (nameServers.some(({ severity }) => severity === "ok")) {
      await step(tell, "the brokers", () => brokerFindings(around));
      const { topic, group } = question;
      if (topic !== undefined) await step(tell, `the topic ${topic}`, () => topicFindings(admin, topic));
      if (group !== undefined) await step(tell, `the group ${group}`, () => groupFindings(admin, group, topic));
    }
    tell(machineFindings(around));
  } finally {
    admin.close();
  }
  const { status, text } = verdict(findings);
  print(text);
  return status;
}

/** What cannot be looked at is a finding as well. */
async function step(
  tell: (found: readonly Finding[]) => void,
  what: string,
  look: () => Promise<Finding[]>,
): Promise<void> {
  try {
    tell(await look());
  } catch (failure) {
    tell([
      error(`${what} cannot be looked at: ${(failure as Error).message}`, "see the findings above, then ask again"),
    ]);
  }
}
