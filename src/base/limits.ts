/**
 * Every bound that keeps memory and time finite whatever clients do, each with its reason. A limit that Apache makes
 * configurable lives in the option table instead; those that only an operator can judge have keys of ours (KEYED_LIMITS).
 */

const KIB = 1024;
const MIB = 1024 * KIB;

/** A limit that broker.conf and namesrv.conf may set. */
export interface KeyedLimit {
  readonly value: number;
  /** What goes wrong without it, for docs and help. */
  readonly reason: string;
}

/** By key. Generous: what works with Apache must not be refused, only what would take the server from everybody else. */
export const KEYED_LIMITS = {
  "limit.connectionsPerAddress": {
    value: 20_000,
    reason:
      "remoting connections of one address to all ports of a server: one machine must not take all of its open files",
  },
  "limit.unfinishedRequestBytes": {
    value: 512 * MIB,
    reason:
      "bytes of remoting requests that have begun to arrive and are not whole: above it who began first and has not finished is cut off",
  },
  "limit.unsentAnswerBytes": {
    value: 1024 * MIB,
    reason:
      "bytes of answers that clients do not take, counted as 1 MiB for each connection that is behind: above it who has been behind for longest is cut off",
  },
  "limit.topics": {
    value: 500_000,
    reason: "topics of the broker: all are in memory, in one file and in every registration",
  },
  "limit.groups": {
    value: 500_000,
    reason: "consumer groups of the broker: all are in memory and in one file",
  },
  "limit.topicsPerClient": {
    value: 50_000,
    reason: "topics that the first messages from one address have made since the start; mqadmin may make more",
  },
  "limit.groupsPerClient": {
    value: 50_000,
    reason: "groups that the first members at one address have made since the start; mqadmin may make more",
  },
} as const satisfies Record<string, KeyedLimit>;

export type LimitKey = keyof typeof KEYED_LIMITS;
/** The limits in force. */
export type Limits = Readonly<Record<LimitKey, number>>;

/** What holds where nobody says otherwise. */
export const DEFAULT_LIMITS = Object.fromEntries(
  Object.entries(KEYED_LIMITS).map(([key, { value }]) => [key, value]),
) as Limits;

/** Addresses whose own topics and groups are counted; the one that made something longest ago is forgotten first. */
export const COUNTED_ADDRESSES_MAX = 10_000;

/** Largest frame accepted (Apache: com.rocketmq.remoting.frameMaxLength, 16 MiB). */
export const FRAME_BYTES_MAX = 16 * MIB;
/** Largest header of a frame; Apache has only the frame's limit, a real header is below 64 KiB. */
export const HEADER_BYTES_MAX = 1 * MIB;
/** Extension fields in one header; the largest Apache header has 25, ACL and namespace add a handful. */
export const HEADER_FIELDS_MAX = 256;
/** A connection with this much unsent output is not read from until its peer drains it. */
export const CONNECTION_OUT_HIGH_BYTES = 1 * MIB;
/** Reading resumes below this. */
export const CONNECTION_OUT_LOW_BYTES = 256 * KIB;
/** Requests of ours that a peer has not taken yet; above it, further ones to it fail at once. */
export const CONNECTION_ASKED_BYTES_MAX = 64 * MIB;
/** Requests of one connection that may wait for a handler's answer (sends and pulls do not count); reading pauses above it. */
export const CONNECTION_IN_FLIGHT_MAX = 256;
/** TLS handshakes under way, about 50 KiB each, all ports together; above it new ones are closed at once. */
export const TLS_HANDSHAKES_MAX = 8_192;
/** An idle connection is closed after this (Apache: serverChannelMaxIdleTimeSeconds 120). */
export const CONNECTION_IDLE_MS = 120_000;

/** Tail buffers of the commit log: how much of the newest log is always served from memory. */
export const LOG_TAIL_CHUNK_BYTES = 8 * MIB;
export const LOG_TAIL_CHUNKS = 4;
/** Cache of older log blocks. */
export const LOG_BLOCK_BYTES = 256 * KIB;
export const LOG_BLOCKS_MAX = 128;
/** Blocks of one cache that are read at a time, each with a buffer of its own; thousands of cold pulls wait for their turn. */
export const BLOCK_READS_MAX = 32;
/** Cache of older ConsumeQueue blocks: 1,024 units each. */
export const QUEUE_BLOCK_BYTES = 20 * 1024;
export const QUEUE_BLOCKS_MAX = 512;
/** Units a ConsumeQueue keeps in memory: starts small because 10,000 queues may exist. */
export const QUEUE_TAIL_UNITS_MIN = 64;
export const QUEUE_TAIL_UNITS_MAX = 4096;
/** Open file descriptors of the store; the rest is reopened on demand. */
export const STORE_OPEN_FILES_MAX = 512;
/** Held (long-polling) pulls of the whole broker; above it a pull answers at once. */
export const PULL_HOLDS_MAX = 100_000;
/** Queues locked by orderly consumers, all groups together, about 200 bytes each; above it nothing new is locked. */
export const QUEUE_LOCKS_MAX = 200_000;
/** Appends that may wait for their acknowledgement (a stalled disk under SYNC_FLUSH); above it sends are refused as busy. */
export const APPENDS_PENDING_MAX = 131_072;
/** A client's heartbeat, queue locks or acknowledgements: thousands of each. Reading 16 MiB of JSON would stop the broker for a second. */
export const CLIENT_BODY_BYTES_MAX = 2 * MIB;
/** Characters of a subscription's expression; compiling a MiB of SQL92 would take a tenth of a second, at every pull that brings it. */
export const EXPRESSION_CHARS_MAX = 64 * KIB;
/** Nesting of an SQL92 expression: parsing and evaluating recurse this deep. Chains of AND and OR count as one level. */
export const SQL_DEPTH_MAX = 256;
/** Compiled filters of pulls that bring their own expression; all are forgotten when there are more. */
export const FILTERS_CACHED_MAX = 4096;
/** Longer expressions are compiled for each pull instead of kept. */
export const FILTER_CACHED_CHARS_MAX = 1024;
/** Timer log: what is appended and kept in memory, and the cache of older units, which are read one here and one there. */
export const TIMER_TAIL_BYTES = 256 * KIB;
export const TIMER_BLOCK_BYTES = 4 * KIB;
export const TIMER_BLOCKS_MAX = 2048;
export const TIMER_OPEN_FILES_MAX = 8;
/** Timer messages entered or delivered in one go, and their bytes. */
export const TIMER_BATCH = 64;
export const TIMER_BATCH_BYTES = 1 * MIB;
/** Units of a slot whose places are kept at a time. */
export const TIMER_SECTION_UNITS = 16_384;
/** Delivered timers that are remembered at a start, so that they do not come twice. */
export const TIMER_DELIVERED_MAX = 500_000;
/** Messages of one pop (Apache refuses more; a checkpoint has one bit for each). */
export const POP_MESSAGES_MAX = 32;
/** Pops in flight of the whole broker, about 250 bytes each (up to 32 messages); above it pops find nothing. */
export const POP_CHECKPOINTS_MAX = 1_000_000;
/** Acknowledgements kept for checkpoints that an Apache broker's timer still holds. */
export const POP_UNMATCHED_ACKS_MAX = 100_000;
/** Queues of one topic: whoever counts them goes through them all. */
export const TOPIC_QUEUES_MAX = 65_536;
/** Highest queue id of a topic in files and journal records that counts as real; queues of a popped topic lie in an array. */
export const POP_QUEUE_ID_MAX = 65_535;
/** Pops of lite topics that wait, about 300 bytes each; above it they are answered at once. */
export const LITE_WAITING_MAX = 100_000;
/** Clients of lite topics, about 500 bytes each without their subscriptions; above it new ones are refused. */
export const LITE_CLIENTS_MAX = 100_000;
/** Topics whose routes are remembered for assigning queues. */
export const TOPIC_ROUTES_MAX = 20_000;

/** gRPC: bytes that one call's client may send before they are read. */
export const GRPC_STREAM_WINDOW_BYTES = 1 * MIB;
/** gRPC: bytes of requests that are not complete, over all clients (one request may have grpcMaxInboundMessageSize). */
export const GRPC_INBOUND_BYTES_MAX = 512 * MIB;
/** gRPC: open connections; above it new ones are closed at once. */
export const GRPC_CONNECTIONS_MAX = 20_000;
/** gRPC: clients whose settings are kept; above it a new client is refused. */
export const GRPC_CLIENTS_MAX = 20_000;
/** gRPC: half messages whose places are remembered for EndTransaction; above it the oldest waits for its check. */
export const GRPC_TRANSACTIONS_MAX = 200_000;
/** Figures that the broker keeps by name and key, each below 1 KiB; above it new keys are not counted. */
export const STATS_ITEMS_MAX = 200_000;
/** Groups with a cold read threshold of their own. */
export const COLD_GROUPS_MAX = 10_000;
/** gRPC: bytes of messages that wait for clients to take them, over all streams; above it receives are refused. */
export const GRPC_OUTBOUND_BYTES_MAX = 256 * MIB;
/** gRPC: a stream whose client takes nothing for so long is cut off. */
export const GRPC_SLOW_STREAM_MS = 20_000;
/** gRPC: bytes that may come out of one compressed body; producers of both worlds refuse far smaller ones. */
export const BODY_PLAIN_BYTES_MAX = 32 * MIB;
/** gRPC: calls that one connection may have open at a time; a client that wants more waits by itself. */
export const GRPC_STREAMS_PER_CONNECTION_MAX = 10_000;
/** Messages in the answer to a query by key, together; Apache's clients take frames up to 16 MiB. */
export const QUERY_BYTES_MAX = 15 * MIB;
/** Transactions in a store of Apache's that a start joins with what Apache put back, about 300 bytes each; others are asked for twice. */
export const PUT_BACKS_JOINED_MAX = 200_000;
/** Members of broadcasting groups whose pulls are remembered, one for each topic; above it new ones are not. */
export const BROADCAST_MEMBERS_MAX = 20_000;
/** Users of ACL 2.0: each is in memory and in one file that is written whole. */
export const AUTH_USERS_MAX = 100_000;
/** Policy entries of one user: a decision that nobody remembers looks at all of them. */
export const AUTH_ENTRIES_MAX = 10_000;
/** Allowed names that one connection remembers per action before it forgets them all. */
export const AUTH_REMEMBERED_MAX = 1_000;
/** HTTP for operators: connections, and bytes of a request's body. */
export const HTTP_CONNECTIONS_MAX = 128;
export const HTTP_BODY_BYTES_MAX = 256 * KIB;
