/** What goes wrong, in the words of the official tool: Java's exceptions with type, message and causes, without their traces. */
import { FAQ_HINT } from "../protocol/faq.ts";

const FAQ = "https://rocketmq.apache.org/docs/bestPractice/06FAQ";
const CLIENT = "org.apache.rocketmq.client.exception.MQClientException";
const BROKER = "org.apache.rocketmq.client.exception.MQBrokerException";
const REMOTING = "org.apache.rocketmq.remoting.exception";

/** A Java exception by its name. */
export class JavaFailure extends Error {
  readonly type: string;
  /** ResponseCode, where it is the answer of a server. */
  readonly code: number | undefined;
  /** The server's own words. */
  readonly remark: string;

  constructor(
    type: string,
    message: string,
    more: { code?: number; remark?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.type = type;
    this.code = more.code;
    this.remark = more.remark ?? message;
  }
}

/** MQClientException of an answer. */
export function clientFailure(code: number, remark: string | undefined): JavaFailure {
  return new JavaFailure(CLIENT, withFaq(`CODE: ${code}  DESC: ${remark ?? "null"}`), { code, remark });
}

/** MQClientException without an answer. */
export function clientError(message: string, cause?: unknown): JavaFailure {
  return new JavaFailure(CLIENT, withFaq(message), { cause, remark: message });
}

/** MQBrokerException; `address` where Apache names the broker. */
export function brokerFailure(code: number, remark: string | undefined, address?: string): JavaFailure {
  const where = address === undefined ? "" : ` BROKER: ${address}`;
  return new JavaFailure(BROKER, withFaq(`CODE: ${code}  DESC: ${remark ?? "null"}${where}`), { code, remark });
}

export function isBrokerFailure(error: unknown): error is JavaFailure {
  return error instanceof JavaFailure && error.type === BROKER;
}

export function isClientFailure(error: unknown): error is JavaFailure {
  return error instanceof JavaFailure && error.type === CLIENT;
}

export function connectFailure(address: string): JavaFailure {
  return new JavaFailure(`${REMOTING}.RemotingConnectException`, `connect to ${address} failed`);
}

export function timeoutFailure(address: string, timeoutMs: number): JavaFailure {
  return new JavaFailure(
    `${REMOTING}.RemotingTimeoutException`,
    `wait response on the channel <${address}> timeout, ${timeoutMs}(ms)`,
  );
}

export function sendFailure(address: string): JavaFailure {
  return new JavaFailure(`${REMOTING}.RemotingSendRequestException`, `send request to <${address}> failed`);
}

/** A plain java.lang.RuntimeException. */
export function runtimeFailure(message: string, cause?: unknown): JavaFailure {
  return new JavaFailure("java.lang.RuntimeException", message, { cause });
}

/** What a command's failure is wrapped into. */
export function commandFailure(className: string, cause: unknown): JavaFailure {
  return new JavaFailure("org.apache.rocketmq.tools.command.SubCommandException", `${className} command failed`, {
    cause,
  });
}

/** Throwable.printStackTrace without the lines that say where. */
export function describe(error: unknown): string {
  const lines: string[] = [];
  for (let at: unknown = error; at !== undefined; at = (at as Error).cause) {
    const text = `${at instanceof JavaFailure ? at.type : "java.lang.Exception"}: ${(at as Error).message}`;
    lines.push(lines.length === 0 ? text : `Caused by: ${text}`);
  }
  return lines.join("\n");
}

/** UtilAll.exceptionSimpleDesc, without the place. */
export function simpleDescription(error: unknown): string {
  return describe(error).split("\n", 1)[0];
}

/** FAQUrl.attachDefaultURL. */
function withFaq(message: string): string {
  return message.includes("\nSee ") ? message : `${message}\nFor more information, please visit the url, ${FAQ}`;
}

/** A client's own refusal with the pointer that it appends. */
export function clientErrorWithHint(message: string, cause?: unknown): JavaFailure {
  return clientError(message + FAQ_HINT, cause);
}

/** Integer.parseInt and Long.parseLong with their refusals. */
export function parseLong(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) {
    throw new JavaFailure("java.lang.NumberFormatException", `For input string: "${text}"`);
  }
  return Number(text);
}
