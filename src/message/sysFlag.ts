/** Bits of a message's sysFlag and of a pull request's sysFlag (MessageSysFlag, PullSysFlag of Apache). */

export const COMPRESSED = 0x1;
export const MULTI_TAGS = 0x2;
export const TRANSACTION_MASK = 0xc;
export const TRANSACTION_NONE = 0x0;
export const TRANSACTION_PREPARED = 0x4;
export const TRANSACTION_COMMIT = 0x8;
export const TRANSACTION_ROLLBACK = 0xc;
export const BORN_HOST_V6 = 0x10;
export const STORE_HOST_V6 = 0x20;
export const NEED_UNWRAP = 0x40;
export const INNER_BATCH = 0x80;
/** Which algorithm a compressed body needs: LZ4 1, ZSTD 2, zlib 3; 0 (clients before 5.0) is zlib, too. */
export const COMPRESSION_TYPE = 0x700;

/** Pull request flags. */
export const PULL_COMMIT_OFFSET = 0x1;
export const PULL_SUSPEND = 0x2;
export const PULL_SUBSCRIPTION = 0x4;
export const PULL_CLASS_FILTER = 0x8;
export const PULL_LITE = 0x10;
