/** A broker and a Controller that the test plays: its answers are Apache's, field by field. */
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../base/log.ts";
import type { Answer } from "../../protocol/dispatch.ts";
import { RequestCode } from "../../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../../protocol/generated/responseCodes.ts";
import { FakeClock } from "../../testing/fakeClock.ts";
import { MemoryDisk } from "../../testing/memoryDisk.ts";
import { BrokerIdentity } from "./brokerIdentity.ts";
import { Controllers } from "./controllers.ts";
import { Replicas } from "./replicas.ts";

const OPTIONS = {
  brokerClusterName: "C",
  brokerName: "broker-a",
  controllerAddr: "one:1;two:2",
  controllerHeartBeatTimeoutMills: 10_000,
  brokerElectionPriority: 5,
  brokerHeartbeatInterval: 1_000,
  syncBrokerMetadataPeriod: 5_000,
  syncControllerMetadataPeriod: 10_000,
};
const NAMES = new Map(Object.entries(RequestCode).map(([name, code]) => [code as number, name]));

/** The group as the Controller has it. */
class FakeController {
  leader = "one:1";
  down = false;
  nextId = 1;
  masterId: number | undefined;
  masterAddress = "";
  masterEpoch = 0;
  set = { ids: [] as number[], epoch: 0 };
  readonly given = new Map<number, string>();
  readonly asked: string[] = [];
  readonly heartbeats: Record<string, unknown>[] = [];

  ask = async (address: string, code: number, header: Record<string, unknown>, body: unknown): Promise<Answer> => {
    const name = NAMES.get(code) as string;
    if (this.down) throw new Error(`cannot connect to ${address}`);
    if (name === "CONTROLLER_GET_METADATA_INFO") return answer({ controllerLeaderAddress: this.leader });
    this.asked.push(name);
    if (address !== this.leader) return answer({}, "", "CONTROLLER_NOT_LEADER");
    switch (name) {
      case "CONTROLLER_GET_NEXT_BROKER_ID":
        return answer({ nextBrokerId: this.nextId });
      case "CONTROLLER_APPLY_BROKER_ID": {
        const id = Number(header.appliedBrokerId);
        const holder = this.given.get(id);
        if (holder !== undefined && holder !== header.registerCheckCode) {
          return answer({}, "", "CONTROLLER_BROKER_ID_INVALID");
        }
        this.given.set(id, String(header.registerCheckCode));
        this.nextId = Math.max(this.nextId, id + 1);
        return answer({});
      }
      case "CONTROLLER_ELECT_MASTER":
        if (this.masterId !== undefined) return this.#group("CONTROLLER_MASTER_STILL_EXIST");
        if (this.set.ids.length > 0 && !this.set.ids.includes(Number(header.brokerId))) {
          return answer({}, "", "CONTROLLER_ELECT_MASTER_FAILED");
        }
        this.elect(Number(header.brokerId), "me:1");
        return this.#group("SUCCESS");
      case "CONTROLLER_ALTER_SYNC_STATE_SET": {
        const asked = JSON.parse(String(body));
        if (asked.syncStateSetEpoch !== this.set.epoch) return answer({}, "", "CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH");
        this.set = { ids: asked.syncStateSet, epoch: this.set.epoch + 1 };
        return this.#group("SUCCESS");
      }
      default:
        return this.#group("SUCCESS");
    }
  };

  elect(id: number, address: string): void {
    this.masterId = id;
    this.masterAddress = address;
    this.masterEpoch++;
    this.set = { ids: [id], epoch: this.set.epoch + 1 };
  }

  #group(code: keyof typeof ResponseCode): Answer {
    const body = JSON.stringify({ syncStateSet: this.set.ids, syncStateSetEpoch: this.set.epoch });
    const fields: Record<string, string | number> = { masterEpoch: this.masterEpoch };
    if (this.masterId !== undefined) {
      Object.assign(fields, { masterBrokerId: this.masterId, masterAddress: this.masterAddress });
    }
    return answer(fields, body, code);
  }
}

function answer(
  fields: Record<string, string | number>,
  body = "",
  code: keyof typeof ResponseCode = "SUCCESS",
): Answer {
  return {
    code: ResponseCode[code],
    remark: code,
    fields: new Map(Object.entries(fields).map(([key, value]) => [key, String(value)])),
    body: Buffer.from(body),
  };
}

class Life {
  readonly clock = new FakeClock();
  readonly roles: string[] = [];
  readonly sets: number[][] = [];
  readonly replicas: Replicas;
  lastEpoch = -1;
  fails = false;

  constructor(controller: FakeController, disk = new MemoryDisk()) {
    const tell = async (_: string, __: number, header: Record<string, unknown>) =>
      controller.heartbeats.push(header) > 0;
    const life = this;
    const become = async (role: string): Promise<void> => {
      if (life.fails) throw new Error("the port is taken");
      life.roles.push(role);
    };
    this.replicas = new Replicas(
      OPTIONS,
      new Controllers(OPTIONS, controller.ask, tell, this.clock),
      new BrokerIdentity(disk, "/store/brokerIdentity", silentLogger()),
      {
        address: "me:1",
        get lastEpoch() {
          return life.lastEpoch;
        },
        logEnd: 77,
        confirmOffset: 66,
        becomeMaster: (epoch, set) => become(`master of ${epoch} with ${[...set]}`),
        reelected: (epoch) => become(`again master of ${epoch}`),
        becomeSlave: (address) => become(`slave of ${address}`),
        setSyncStateSet: (set) => this.sets.push([...set]),
      },
      this.clock,
      silentLogger(),
    );
  }

  async start(): Promise<void> {
    await Promise.all([this.replicas.start(), this.clock.settle()]);
  }
}

describe("a broker under a Controller", () => {
  it("gets an id, keeps it, and is elected when it is the first", async () => {
    const controller = new FakeController();
    const disk = new MemoryDisk();
    const life = new Life(controller, disk);
    await life.start();
    expect(life.roles).toEqual(["master of 1 with 1"]);
    expect(disk.readAll("/store/brokerIdentity").toString()).toBe("C#broker-a#1");
    expect(disk.exists("/store/brokerIdentity-temp")).toBe(false);
    await life.replicas.stop();

    controller.asked.length = 0;
    controller.elect(2, "other:1");
    const again = new Life(controller, disk);
    await again.start();
    expect(controller.asked).not.toContain("CONTROLLER_APPLY_BROKER_ID");
    expect(again.roles).toEqual(["slave of other:1"]);
  });

  it("goes on with an id that it had asked for when it died", async () => {
    const controller = new FakeController();
    const disk = new MemoryDisk();
    await new BrokerIdentity(disk, "/store/brokerIdentity", silentLogger()).apply({
      clusterName: "C",
      brokerName: "broker-a",
      brokerId: 4,
      registerCheckCode: "me:1;5",
    });
    const life = new Life(controller, disk);
    await life.start();
    expect(controller.given).toEqual(new Map([[4, "me:1;5"]]));
    expect(disk.readAll("/store/brokerIdentity").toString()).toBe("C#broker-a#4");
  });

  it("asks for another id when somebody was faster", async () => {
    const controller = new FakeController();
    controller.given.set(1, "other:1;5");
    const life = new Life(controller);
    await life.start();
    expect(life.roles).toEqual([]);
    controller.nextId = 2;
    await life.clock.advance(1_100);
    expect(life.replicas.brokerId).toBe(2);
    expect(life.roles).toEqual(["master of 1 with 2"]);
  });

  it("does not join with the identity of another broker", async () => {
    const disk = new MemoryDisk();
    await new BrokerIdentity(disk, "/store/brokerIdentity", silentLogger()).grant({
      clusterName: "C",
      brokerName: "broker-b",
      brokerId: 4,
    });
    const life = new Life(new FakeController(), disk);
    await life.start();
    await life.clock.advance(3_000);
    expect([life.replicas.brokerId, life.roles]).toEqual([undefined, []]);
  });

  it("waits for Controllers that are away", async () => {
    const controller = new FakeController();
    controller.down = true;
    const life = new Life(controller);
    await life.start();
    await life.clock.advance(4_000);
    expect(life.roles).toEqual([]);
    controller.down = false;
    await life.clock.advance(1_100);
    expect(life.roles).toEqual(["master of 1 with 1"]);
  });

  it("finds another leader, and tells every Controller that it lives and how far", async () => {
    const controller = new FakeController();
    const life = new Life(controller);
    await life.start();
    controller.leader = "two:2";
    controller.elect(2, "other:1");
    // The first question meets the old leader, the second one the new.
    await life.clock.advance(10_200);
    expect(life.roles.at(-1)).toBe("slave of other:1");
    expect(controller.heartbeats.length).toBeGreaterThanOrEqual(18);
    expect(controller.heartbeats.at(-1)).toEqual({
      clusterName: "C",
      brokerName: "broker-a",
      brokerAddr: "me:1",
      brokerId: 1,
      epoch: -1,
      maxOffset: 77,
      confirmOffset: 66,
      heartbeatTimeoutMills: 10_000,
      electionPriority: 5,
    });
  });

  it("asks at once when it is told that roles have changed, and believes only the Controller", async () => {
    const controller = new FakeController();
    const life = new Life(controller);
    await life.start();
    await life.replicas.look();
    expect(life.roles).toEqual(["master of 1 with 1"]);
    controller.elect(2, "other:1");
    await life.replicas.look();
    expect(life.roles.at(-1)).toBe("slave of other:1");
    // Its master dies, nobody is elected; then it is.
    controller.masterId = undefined;
    controller.masterEpoch++;
    await life.replicas.look();
    expect(life.roles.length).toBe(2);
    controller.elect(1, "me:1");
    await life.replicas.look();
    expect(life.roles.at(-1)).toBe("master of 4 with 1");
    controller.elect(1, "me:1");
    await life.replicas.look();
    expect(life.roles.at(-1)).toBe("again master of 5");
  });

  it("tries again what failed, and refuses a Controller that knows less than the log", async () => {
    const controller = new FakeController();
    const life = new Life(controller);
    life.fails = true;
    await life.start();
    expect(life.roles).toEqual([]);
    life.fails = false;
    await life.clock.advance(1_100);
    expect(life.roles).toEqual(["master of 1 with 1"]);
    life.lastEpoch = 9;
    controller.elect(2, "other:1");
    await life.replicas.look();
    expect(life.roles.length).toBe(1);
  });

  it("changes the set by the Controller's word only", async () => {
    const controller = new FakeController();
    const life = new Life(controller);
    await life.start();
    await life.replicas.propose(new Set([1, 2]));
    expect(life.sets).toEqual([[1, 2]]);
    // Somebody else changed it meanwhile: refused, asked, and taken over.
    controller.set = { ids: [1], epoch: 9 };
    await life.replicas.propose(new Set([1, 2, 3]));
    await life.clock.settle();
    expect(life.sets).toEqual([[1, 2], [1]]);
  });
});
