/**
 * What a broker asks of Apache's Controllers (Apache: the controller part of BrokerOuterAPI). Only the leader among them
 * answers; who that is, each of them tells.
 */
import type { Clock } from "../../base/clock.ts";
import { decodeSyncStateSet, encodeSyncStateSet, type SyncStateSet } from "../../protocol/bodies/syncStateSet.ts";
import type { Answer } from "../../protocol/dispatch.ts";
import { RequestCode } from "../../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../../protocol/generated/responseCodes.ts";
import type { RequestTo } from "../registration.ts";

const TIMEOUT_MS = 3_000;

/** Sends a oneway request. */
export type TellTo = (
  address: string,
  code: number,
  header: Record<string, string | number | boolean | undefined>,
) => Promise<boolean>;

/** Who is the master of a group, as the Controller says. */
export interface Election {
  /** Undefined: nobody is. */
  masterId: number | undefined;
  masterAddress: string;
  masterEpoch: number;
  set: SyncStateSet;
}

/** The leader answered, and not with success. */
export class ControllerError extends Error {
  readonly code: number;

  constructor(request: string, answer: Answer) {
    super(`${request} was answered ${answer.code}: ${answer.remark ?? "without a remark"}`);
    this.code = answer.code;
  }
}

export interface ControllerOptions {
  readonly brokerClusterName: string;
  readonly brokerName: string;
  /** `host:port;host:port` */
  readonly controllerAddr: string;
  /** A broker that is silent for longer counts as dead, ms. */
  readonly controllerHeartBeatTimeoutMills: number;
  /** Lower is elected first. */
  readonly brokerElectionPriority: number;
}

export class Controllers {
  readonly #options: ControllerOptions;
  readonly #ask: RequestTo;
  readonly #tell: TellTo;
  readonly #clock: Clock;
  /** `host:port` of the leader, as far as is known. */
  leader: string | undefined;

  constructor(options: ControllerOptions, ask: RequestTo, tell: TellTo, clock: Clock) {
    this.#options = options;
    this.#ask = ask;
    this.#tell = tell;
    this.#clock = clock;
  }

  addresses(): string[] {
    const list = this.#options.controllerAddr.split(";").map((address) => address.trim());
    return [...new Set(list.filter((address) => address !== ""))];
  }

  /** Asks all Controllers who leads them; the first answer counts. Rejects when nobody knows. */
  async findLeader(): Promise<void> {
    const reasons: string[] = [];
    this.leader = undefined;
    await Promise.all(
      this.addresses().map(async (address) => {
        try {
          const answer = await this.#ask(address, RequestCode.CONTROLLER_GET_METADATA_INFO, {}, undefined, TIMEOUT_MS);
          if (answer.code !== ResponseCode.SUCCESS) throw new ControllerError("CONTROLLER_GET_METADATA_INFO", answer);
          const leader = answer.fields.get("controllerLeaderAddress");
          if (leader) this.leader ??= leader;
          else reasons.push(`${address} knows no leader`);
        } catch (error) {
          reasons.push((error as Error).message);
        }
      }),
    );
    if (this.leader === undefined) throw new Error(reasons.join("; ") || "controllerAddr names no Controller");
  }

  /** The id that the next broker of this group would get. */
  async nextBrokerId(): Promise<number> {
    const answer = await this.#request("CONTROLLER_GET_NEXT_BROKER_ID", this.#group());
    return Number(answer.fields.get("nextBrokerId"));
  }

  /** Takes an id; rejects when it is somebody else's. */
  async applyBrokerId(appliedBrokerId: number, registerCheckCode: string): Promise<void> {
    await this.#request("CONTROLLER_APPLY_BROKER_ID", { ...this.#group(), appliedBrokerId, registerCheckCode });
  }

  /** Tells the address of this broker. */
  async register(brokerId: number, brokerAddress: string): Promise<Election> {
    const answer = await this.#request("CONTROLLER_REGISTER_BROKER", {
      ...this.#group(),
      brokerId,
      brokerAddress,
      invokeTime: this.#clock.now(),
    });
    return election(answer);
  }

  /** Asks for an election in which this broker takes part; with a living master it changes nothing. */
  async elect(brokerId: number): Promise<Election> {
    const header = { ...this.#group(), brokerId, designateElect: false, invokeTime: this.#clock.now() };
    return election(await this.#request("CONTROLLER_ELECT_MASTER", header, undefined, "CONTROLLER_MASTER_STILL_EXIST"));
  }

  /** Who is master now. */
  async replicaInfo(): Promise<Election> {
    return election(
      await this.#request("CONTROLLER_GET_REPLICA_INFO", {
        brokerName: this.#options.brokerName,
        invokeTime: this.#clock.now(),
      }),
    );
  }

  /** As a master: asks for another set of brokers that hold everything. Resolves with the Controller's decision. */
  async alterSyncStateSet(masterId: number, masterEpoch: number, set: SyncStateSet): Promise<SyncStateSet> {
    const answer = await this.#request(
      "CONTROLLER_ALTER_SYNC_STATE_SET",
      {
        brokerName: this.#options.brokerName,
        masterBrokerId: masterId,
        masterEpoch,
        invokeTime: this.#clock.now(),
      },
      encodeSyncStateSet(set),
    );
    return decodeSyncStateSet(answer.body);
  }

  /** Tells every Controller that this broker lives and how far its log reaches. */
  heartbeat(brokerId: number, brokerAddr: string, epoch: number, maxOffset: number, confirmOffset: number): void {
    const header = {
      ...this.#group(),
      brokerAddr,
      brokerId,
      epoch,
      maxOffset,
      confirmOffset,
      heartbeatTimeoutMills: this.#options.controllerHeartBeatTimeoutMills,
      electionPriority: this.#options.brokerElectionPriority,
    };
    for (const address of this.addresses()) {
      // Who is not reached is told again in a second; the leader's silence is noticed by requests.
      this.#tell(address, RequestCode.BROKER_HEARTBEAT, header).catch(() => {});
    }
  }

  #group(): { clusterName: string; brokerName: string } {
    return { clusterName: this.#options.brokerClusterName, brokerName: this.#options.brokerName };
  }

  async #request(
    name: keyof typeof RequestCode,
    header: Record<string, string | number | boolean>,
    body?: string,
    alsoFine?: keyof typeof ResponseCode,
  ): Promise<Answer> {
    if (this.leader === undefined) await this.findLeader();
    const leader = this.leader as string;
    let answer: Answer;
    try {
      answer = await this.#ask(leader, RequestCode[name], header, body, TIMEOUT_MS);
    } catch (error) {
      this.#forget(leader);
      throw error;
    }
    if (answer.code === ResponseCode.CONTROLLER_NOT_LEADER) this.#forget(leader);
    if (answer.code !== ResponseCode.SUCCESS && (alsoFine === undefined || answer.code !== ResponseCode[alsoFine])) {
      throw new ControllerError(name, answer);
    }
    return answer;
  }

  #forget(leader: string): void {
    if (this.leader === leader) this.leader = undefined;
  }
}

function election(answer: Answer): Election {
  const { fields, body } = answer;
  const id = fields.get("masterBrokerId");
  const set = body.length > 0 ? decodeSyncStateSet(body) : { brokerIds: new Set<number>(), epoch: 0 };
  const setEpoch = fields.get("syncStateSetEpoch");
  return {
    masterId: id === undefined ? undefined : Number(id),
    masterAddress: fields.get("masterAddress") ?? "",
    masterEpoch: Number(fields.get("masterEpoch") ?? 0),
    set: setEpoch === undefined ? set : { ...set, epoch: Number(setEpoch) },
  };
}
