/**
 * What clients are told to do (Apache: GrpcClientSettingsManager): a client's own settings with the server's word on
 * retries, batch size, polling and ordering. Pure.
 */
import type { ProxyConfig } from "../config/index.ts";
import type { GroupRetryPolicy, SubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import { newSubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import { AddressScheme, type Settings } from "./generated/messages.ts";
import type { Init } from "./proto.ts";
import { duration } from "./times.ts";

/** Apache's default of `lite.sub.client.quota`. */
const LITE_QUOTA = 2000;

/** The settings a client gets back. @param group its group's configuration; undefined when there is none */
export function mergedSettings(
  config: ProxyConfig,
  settings: Settings,
  group: SubscriptionGroupConfig | undefined,
): Init<Settings> {
  const merged = settings.publishing ? producer(config, settings) : consumer(config, settings, group);
  return { ...merged, metric: metric(config, settings) };
}

function producer(config: ProxyConfig, settings: Settings): Init<Settings> {
  return {
    ...settings,
    backoffPolicy: {
      maxAttempts: config.grpcClientProducerMaxAttempts,
      exponentialBackoff: {
        initial: duration(config.grpcClientProducerBackoffInitialMillis),
        max: duration(config.grpcClientProducerBackoffMaxMillis),
        multiplier: config.grpcClientProducerBackoffMultiplier,
      },
    },
    publishing: {
      ...settings.publishing,
      validateMessageType: config.enableTopicMessageTypeCheck,
      maxBodySize: config.maxMessageSize,
    },
  };
}

/** Without a group's configuration the defaults stand in, and what the client itself said goes before them. */
function consumer(config: ProxyConfig, settings: Settings, group: SubscriptionGroupConfig | undefined): Init<Settings> {
  const own = settings.subscription;
  const { retryMaxTimes, groupRetryPolicy, consumeMessageOrderly, attributes } =
    group ?? newSubscriptionGroupConfig("");
  const server = {
    fifo: consumeMessageOrderly,
    receiveBatchSize: config.grpcClientConsumerLongPollingBatchSize,
    longPollingTimeout: duration(config.grpcClientConsumerMaxLongPollingTimeoutMillis),
    liteSubscriptionQuota: liteQuotaOf({ attributes }),
    maxLiteTopicSize: config.maxLiteTopicSize,
  };
  const said = Object.fromEntries(Object.entries(own ?? {}).filter(([, value]) => value !== null));
  return {
    ...settings,
    backoffPolicy: {
      maxAttempts: (group === undefined && settings.backoffPolicy?.maxAttempts) || retryMaxTimes + 1,
      ...backoff(groupRetryPolicy),
    },
    subscription: group === undefined ? { ...server, ...said } : { ...own, ...server },
  };
}

/** CustomizedRetryPolicy's delays when a group has none of its own, ms. */
const CUSTOMIZED_NEXT_MS = [
  1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000, 480_000, 540_000, 600_000,
  1_200_000, 1_800_000, 3_600_000, 7_200_000,
];
const EXPONENTIAL = { initial: 5_000, max: 7_200_000, multiplier: 2 };

function backoff(policy: GroupRetryPolicy) {
  if (policy.type === "EXPONENTIAL") {
    const { initial, max, multiplier } = policy.exponentialRetryPolicy ?? EXPONENTIAL;
    return { exponentialBackoff: { initial: duration(initial), max: duration(max), multiplier } };
  }
  const next = policy.customizedRetryPolicy?.next ?? CUSTOMIZED_NEXT_MS;
  return { customizedBackoff: { next: next.map(duration) } };
}

/** Pause before a message that was given `reconsumeTimes` times before comes again, ms (RetryPolicy.nextDelayDuration). */
export function retryDelayMs(policy: GroupRetryPolicy, reconsumeTimes: number): number {
  const times = Math.max(0, reconsumeTimes);
  if (policy.type === "EXPONENTIAL") {
    const { initial, max, multiplier } = policy.exponentialRetryPolicy ?? EXPONENTIAL;
    return Math.min(max, initial * multiplier ** Math.min(times, 32));
  }
  const next = policy.customizedRetryPolicy?.next ?? CUSTOMIZED_NEXT_MS;
  // Apache begins with the third delay: the first two are for a consumer's own local attempts.
  return next[Math.min(times + 2, next.length - 1)];
}

/** Whether clients export metrics, and whereto (metricCollectorMode: off, on or proxy). */
function metric(config: ProxyConfig, settings: Settings): Init<Settings>["metric"] {
  switch (config.metricCollectorMode.toLowerCase()) {
    case "on": {
      const [host, port] = config.metricCollectorAddress.split(":");
      return { on: true, endpoints: { scheme: AddressScheme.IPv4, addresses: [{ host, port: Number(port) }] } };
    }
    case "proxy":
      return { on: true, endpoints: settings.accessPoint };
    default:
      return { on: false };
  }
}

/** Lite topics that one client of a group may subscribe to. */
export function liteQuotaOf(group: Pick<SubscriptionGroupConfig, "attributes"> | undefined): number {
  return Number(group?.attributes.get("lite.sub.client.quota") ?? LITE_QUOTA);
}
