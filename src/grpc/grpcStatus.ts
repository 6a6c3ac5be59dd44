/** How a call ends by the gRPC protocol itself; what a request comes to by RocketMQ's is status.ts. */

/** Statuses of the gRPC protocol itself. */
export const GrpcStatus = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

/** Ends a call with a status of the gRPC protocol. */
export class GrpcError extends Error {
  readonly status: number;

  constructor(status: keyof typeof GrpcStatus, message: string) {
    super(message);
    this.status = GrpcStatus[status];
  }
}
