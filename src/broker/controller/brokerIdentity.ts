/**
 * The id that a Controller gave this broker, in Apache's files (BrokerMetadata, TempBrokerMetadata): `brokerIdentity` holds
 * `cluster#name#id`, `brokerIdentity-temp` an id that was asked for and not yet granted, with the code that proves who asked.
 */
import type { Logger } from "../../base/log.ts";
import type { Disk } from "../../store/disk.ts";
import { MetadataFile } from "../../store/metadataFile.ts";

export interface Identity {
  clusterName: string;
  brokerName: string;
  brokerId: number;
}

export interface AppliedIdentity extends Identity {
  /** `address;time`: who asks again with the same code is the same broker. */
  registerCheckCode: string;
}

export class BrokerIdentity {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #log: Logger;

  /** @param file `storePathBrokerIdentity` */
  constructor(disk: Disk, file: string, log: Logger) {
    this.#disk = disk;
    this.#path = file;
    this.#log = log;
  }

  /** The granted id, if there is one. */
  granted(): Identity | undefined {
    return this.#load(this.#path, 3);
  }

  /** The id that was asked for. */
  applied(): AppliedIdentity | undefined {
    return this.#load(`${this.#path}-temp`, 4);
  }

  async apply(identity: AppliedIdentity): Promise<void> {
    const { clusterName, brokerName, brokerId, registerCheckCode } = identity;
    await this.#write(`${this.#path}-temp`, [clusterName, brokerName, brokerId, registerCheckCode].join("#"));
  }

  /** The id is this broker's. */
  async grant({ clusterName, brokerName, brokerId }: Identity): Promise<void> {
    await this.#write(this.#path, [clusterName, brokerName, brokerId].join("#"));
    this.withdraw();
  }

  /** The id that was asked for is somebody else's. */
  withdraw(): void {
    for (const end of ["-temp", "-temp.bak"]) this.#disk.remove(`${this.#path}${end}`);
  }

  #write(path: string, content: string): Promise<void> {
    return new MetadataFile(this.#disk, path).write(content);
  }

  #load(path: string, parts: number): AppliedIdentity | undefined {
    return new MetadataFile(this.#disk, path).load(
      (text) => {
        const [clusterName, brokerName, id, registerCheckCode = ""] = text.trim().split("#");
        if (text.trim().split("#").length !== parts || !/^\d+$/.test(id)) throw new Error(`${text} is no identity`);
        return { clusterName, brokerName, brokerId: Number(id), registerCheckCode };
      },
      (file, reason) => this.#log.error({ file, reason }, "broker identity not read from this file"),
    );
  }
}
