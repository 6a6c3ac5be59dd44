/** A producer of transactional messages on a {@link WireBroker}, and a look at what the broker made of them. */
import type { Buffer } from "node:buffer";
import { parseMessageId } from "../message/messageId.ts";
import { formatProperties as format, Property } from "../message/properties.ts";
import { RecordView } from "../message/record.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { FLAG_ONEWAY } from "../protocol/headerView.ts";
import type { StoredMessage } from "../store/types.ts";
import type { WireBroker, WireClient, WireReply } from "./wireBroker.ts";

export const COMMIT = 8;
export const ROLLBACK = 12;
export const UNKNOWN = 0;

/** A half message as its producer knows it. */
export interface Half {
  uniqueKey: string;
  halfOffset: number;
  logOffset: number;
  reply: WireReply;
}

/** What a producer was asked. */
export interface Check {
  header: Record<string, string | number | boolean | undefined>;
  message: RecordView;
}

let keys = 0;

export class TransactionProducer {
  readonly group: string;
  readonly client: WireClient;
  readonly #broker: WireBroker;

  constructor(broker: WireBroker, group = "producers", address?: string) {
    this.#broker = broker;
    this.group = group;
    this.client = broker.client(address);
  }

  /** A heartbeat: from now on the broker may ask this producer. */
  register(): void {
    this.#broker.clients.registerProducer(this.group, {
      caller: this.client.caller,
      clientId: this.client.caller.address,
      language: "JAVA",
      version: 500,
    });
  }

  async half(body: string, properties: Record<string, string> = {}, header: object = {}): Promise<Half> {
    const uniqueKey = properties.UNIQ_KEY ?? `7F0000010A2B18B4AAC2${String(++keys).padStart(12, "0")}`;
    const all = { ...properties, UNIQ_KEY: uniqueKey, WAIT: "true", TRAN_MSG: "true", PGROUP: this.group };
    const reply = await this.client.ask(
      "SEND_MESSAGE_V2",
      {
        a: this.group,
        b: "T",
        c: "TBW102",
        d: 4,
        e: 1,
        f: 4,
        g: this.#broker.clock.now(),
        h: 7,
        i: format(Object.entries(all)),
        j: 0,
        k: false,
        m: false,
        ...header,
      },
      { body },
    );
    const id = parseMessageId(reply.fields.msgId ?? "");
    return { uniqueKey, halfOffset: Number(reply.fields.queueOffset), logOffset: id?.logOffset ?? -1, reply };
  }

  /** The header of END_TRANSACTION. */
  ending(half: Omit<Half, "reply">, commitOrRollback: number, more: object = {}): Record<string, string | number> {
    return {
      producerGroup: this.group,
      tranStateTableOffset: half.halfOffset,
      commitLogOffset: half.logOffset,
      commitOrRollback,
      fromTransactionCheck: "false",
      msgId: half.uniqueKey,
      transactionId: half.uniqueKey,
      ...more,
    };
  }

  end(half: Omit<Half, "reply">, decision: number, more: object = {}): Promise<WireReply> {
    return this.client.ask("END_TRANSACTION", this.ending(half, decision, more));
  }

  /** As clients do: nobody answers. */
  endOneway(half: Omit<Half, "reply">, decision: number, more: object = {}): void {
    this.client.send("END_TRANSACTION", this.ending(half, decision, more), { flag: FLAG_ONEWAY });
  }

  /** The checks that came since the last call. */
  checks(): Check[] {
    return this.client.caller.told
      .splice(0)
      .filter((told) => told.code === RequestCode.CHECK_TRANSACTION_STATE)
      .map(({ header, body }) => {
        const message = new RecordView();
        const bytes = body as Buffer;
        if (message.read(bytes, 0, bytes.length, true) !== "record") throw new Error("a check without a message");
        return { header, message };
      });
  }
}

/** The half message that a check names, to answer it with. */
export function halfOf({ header }: Check): Omit<Half, "reply"> {
  return {
    uniqueKey: String(header.msgId),
    halfOffset: Number(header.tranStateTableOffset),
    logOffset: Number(header.commitLogOffset),
  };
}

/** All messages of a queue. */
export async function messagesOf(broker: WireBroker, topic: string, queueId = 0): Promise<StoredMessage[]> {
  const units = await broker.store.units(topic, queueId, broker.store.minOffset(topic, queueId), 1_000_000);
  const messages = await Promise.all(units.map((unit) => broker.store.messageAt(unit.logOffset)));
  return messages.filter((message) => message !== undefined);
}

export const bodies = (messages: StoredMessage[]): string[] => messages.map((message) => message.body.toString());

export const keysOf = (messages: StoredMessage[]): (string | undefined)[] =>
  messages.map((message) => message.properties.get(Property.UNIQUE_KEY));
