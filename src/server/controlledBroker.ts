/**
 * A broker that Apache's Controller makes a master or a slave (Apache: enableControllerMode, ReplicasManager). What is a
 * master's and what is a slave's differs in nearly every part, and each part knows how to start and stop: so a change of
 * roles stops the broker and starts it in its new role, in this process, on the same port. Nothing of the old role can be
 * left over, and what a restart survives, a change of roles survives. Registration and heartbeats with the Controllers
 * live outside of that and go on meanwhile; NameServers are not told to forget the broker.
 *
 * It begins as a slave without a master, which answers nobody's sends and is registered with no NameServer.
 */
import * as path from "node:path";
import { authSettings } from "../auth/authSettings.ts";
import { signedFields } from "../auth/signature.ts";
import { Turn } from "../base/turn.ts";
import { BrokerIdentity } from "../broker/controller/brokerIdentity.ts";
import { Controllers } from "../broker/controller/controllers.ts";
import { Replicas, type ReplicasHost } from "../broker/controller/replicas.ts";
import { EpochFile } from "../ha/autoSwitch/epochFile.ts";
import type { Fields } from "../protocol/frameWriter.ts";
import { RemotingClient } from "../remoting/client.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { truncateLog } from "../store/truncate.ts";
import type { BrokerServerOptions } from "./brokerParts.ts";
import type { BrokerInRole, RunningBroker } from "./brokerServer.ts";
import type { Runtime } from "./runtime.ts";
import { openTls, type Tls } from "./tls.ts";

/** Starts a broker in the role that its configuration and `controlled` say. */
export type StartInRole = (runtime: Runtime, options: BrokerServerOptions) => Promise<BrokerInRole>;

/** Resolves when the broker runs and the Controller was asked once; without its answer the broker waits for it. */
export async function startControlledBroker(
  runtime: Runtime,
  options: BrokerServerOptions,
  startInRole: StartInRole,
): Promise<RunningBroker> {
  const ownTls = options.tls === undefined ? await openTls(runtime, options.config) : undefined;
  const broker = new ControlledBroker(runtime, options, options.tls ?? (ownTls as Tls), startInRole);
  try {
    await broker.start();
  } catch (error) {
    await broker.stop();
    ownTls?.close();
    throw error;
  }
  return {
    get address() {
      return broker.address;
    },
    port: options.config.listenPort,
    get grpcPort() {
      return broker.grpcPort;
    },
    get metricsPort() {
      return broker.metricsPort;
    },
    get consolePort() {
      return broker.consolePort;
    },
    async close() {
      await broker.stop();
      ownTls?.close();
    },
  };
}

class ControlledBroker implements ReplicasHost {
  readonly #runtime: Runtime;
  readonly #options: BrokerServerOptions;
  readonly #tls: Tls;
  readonly #startInRole: StartInRole;
  readonly #client: RemotingClient;
  readonly #epochs: EpochFile;
  readonly #replicas: Replicas;
  /** Undefined between two roles. */
  #broker: BrokerInRole | undefined;
  #masterAddress: string | undefined;
  #logEnd = 0;
  #confirmOffset = 0;
  /** One change at a time. */
  #work: Promise<void> = Promise.resolve();

  constructor(runtime: Runtime, options: BrokerServerOptions, tls: Tls, startInRole: StartInRole) {
    const { clock, disk, log } = runtime;
    const { config } = options;
    this.#runtime = runtime;
    this.#options = options;
    this.#tls = tls;
    this.#startInRole = startInRole;
    const root = config.storePathRootDir;
    disk.mkdir(root);
    const epochFile = config.storePathEpochFile || path.join(root, "epochFileCheckpoint");
    this.#epochs = new EpochFile(new MetadataFile(disk, epochFile), log);
    const { credentials } = authSettings(config);
    const sign =
      credentials === undefined
        ? undefined
        : (fields: Fields, body: Parameters<typeof signedFields>[1]) => signedFields(fields, body, credentials);
    const client = new RemotingClient(clock, new Turn(clock), log, [], tls.client, sign);
    this.#client = client;
    const controllers = new Controllers(
      config,
      (address, code, header, body, timeoutMs) => client.request(address, code, header, body, timeoutMs),
      (address, code, header) => client.tell(address, code, header),
      clock,
    );
    const identityFile = config.storePathBrokerIdentity || path.join(root, "brokerIdentity");
    this.#replicas = new Replicas(config, controllers, new BrokerIdentity(disk, identityFile, log), this, clock, log);
  }

  async start(): Promise<void> {
    await this.#up("SLAVE");
    await this.#replicas.start();
  }

  async stop(): Promise<void> {
    await this.#replicas.stop();
    await this.#work.catch(() => {});
    const broker = this.#broker;
    this.#broker = undefined;
    try {
      await broker?.close();
    } finally {
      this.#client.close();
    }
  }

  // ---- what Replicas asks ----

  get address(): string {
    const { brokerIP1, listenPort } = this.#options.config;
    return `${brokerIP1}:${listenPort}`;
  }

  get grpcPort(): number | undefined {
    return this.#broker?.grpcPort;
  }

  get metricsPort(): number | undefined {
    return this.#broker?.metricsPort;
  }

  get consolePort(): number | undefined {
    return this.#broker?.consolePort;
  }

  get lastEpoch(): number {
    return this.#epochs.lastEpoch;
  }

  get logEnd(): number {
    return this.#broker?.logEnd ?? this.#logEnd;
  }

  get confirmOffset(): number {
    return this.#broker?.confirmOffset ?? this.#confirmOffset;
  }

  becomeMaster(epoch: number, brokerIds: ReadonlySet<number>): Promise<void> {
    return this.#change(async () => {
      await this.#down();
      await this.#up("SYNC_MASTER", epoch, brokerIds);
    });
  }

  reelected(epoch: number): Promise<void> {
    return this.#change(async () => this.#broker?.beginEpoch(epoch));
  }

  becomeSlave(masterAddress: string): Promise<void> {
    return this.#change(async () => {
      this.#masterAddress = masterAddress;
      if (this.#broker === undefined || this.#options.config.brokerRole !== "SLAVE") {
        await this.#down();
        await this.#up("SLAVE");
      } else this.#options.config.brokerId = this.#slaveId;
      this.#broker?.follow(masterAddress);
    });
  }

  setSyncStateSet(brokerIds: ReadonlySet<number>): void {
    this.#broker?.master?.setSyncStateSet(brokerIds);
  }

  // ---- roles ----

  /** The log is cut where a master's was found to part from it; then the broker follows that master again. */
  #truncate(logOffset: number): void {
    const { disk, log } = this.#runtime;
    const { config } = this.#options;
    this.#change(async () => {
      if (config.brokerRole !== "SLAVE") return;
      await this.#down();
      await truncateLog(disk, config, logOffset);
      this.#epochs.cutBehind(logOffset);
      await this.#epochs.save();
      log.warn({ logEnd: logOffset }, "the log was cut to what the master has");
      await this.#up("SLAVE");
      if (this.#masterAddress !== undefined) this.#broker?.follow(this.#masterAddress);
    }).catch((error: Error) => {
      log.fatal({ err: error }, "the log could not be cut");
      this.#options.onFatal?.(error);
    });
  }

  #change(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  async #down(): Promise<void> {
    const broker = this.#broker;
    if (broker === undefined) return;
    this.#logEnd = broker.logEnd;
    this.#confirmOffset = broker.confirmOffset;
    this.#broker = undefined;
    await broker.close(true);
  }

  get #slaveId(): number {
    // Before the Controller has given an id nobody is told this one.
    return this.#replicas.brokerId ?? 1;
  }

  async #up(
    brokerRole: "SYNC_MASTER" | "SLAVE",
    masterEpoch = 0,
    initialSet: ReadonlySet<number> = new Set(),
  ): Promise<void> {
    const { config } = this.#options;
    const { clock, log } = this.#runtime;
    const began = clock.monotonicMs();
    config.brokerRole = brokerRole;
    config.brokerId = brokerRole === "SLAVE" ? this.#slaveId : 0;
    this.#broker = await this.#startInRole(
      { ...this.#runtime, turn: new Turn(clock) },
      {
        ...this.#options,
        tls: this.#tls,
        controlled: {
          epochs: this.#epochs,
          brokerId: () => this.#slaveId,
          masterEpoch,
          initialSet,
          propose: (brokerIds) => this.#replicas.propose(brokerIds),
          truncate: (logOffset) => this.#truncate(logOffset),
          look: () => void this.#replicas.look(),
        },
      },
    );
    const ms = Math.round(clock.monotonicMs() - began);
    log.info(
      { brokerRole, brokerId: config.brokerId, masterEpoch, logEnd: this.logEnd, ms },
      "this broker has its role",
    );
  }
}
