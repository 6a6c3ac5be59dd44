/** The files of ACL 1.0, and their changes while the server runs (Apache: PlainPermissionManager of 4.x). */
import * as path from "node:path";
import { type PlainAcl, PlainAclError, PlainUsers, readPlainAcl } from "../auth/plainAcl.ts";
import { ConfigError } from "../config/index.ts";
import type { Disk } from "../store/disk.ts";
import { FileWatch } from "../tls/fileWatch.ts";
import type { Runtime } from "./runtime.ts";
import { stampOf } from "./tls.ts";

const WATCH_PERIOD_MS = 500;
const DIRECTORY = "conf/acl";
const FILE = "conf/plain_acl.yml";
/** Apache's system property for another place of the first file, below the home. */
const FILE_PROPERTY = "rocketmq.acl.plain.file";

/** Where the files of a home are: those that there are, and the directories that may get more. */
function placesOf({ disk, properties }: Runtime, home: string): { files: string[]; directories: string[] } {
  const files: string[] = [];
  const directories: string[] = [];
  const walk = (directory: string): void => {
    directories.push(directory);
    for (const name of disk.list(directory)) {
      const file = path.join(directory, name);
      if (disk.isDirectory(file)) walk(file);
      else if (/\.ya?ml$/.test(name)) files.push(file);
    }
  };
  const top = path.join(home, DIRECTORY);
  if (disk.exists(top)) walk(top);
  const main = path.join(home, properties.get(FILE_PROPERTY) ?? FILE);
  if (disk.exists(main) && !files.includes(main)) files.push(main);
  return { files, directories };
}

/** All that a home says of accounts. @throws ConfigError with file, line and reason, or when there is no file */
export function loadPlainAcl(runtime: Runtime, home: string): PlainAcl {
  const { files } = placesOf(runtime, home);
  if (files.length === 0) {
    throw new ConfigError([
      `no accounts of ACL 1.0: neither ${path.join(home, FILE)} nor ${path.join(home, DIRECTORY)}/*.yml is there`,
    ]);
  }
  try {
    return readPlainAcl(files.map((file) => ({ path: file, text: textOf(runtime.disk, file) })));
  } catch (error) {
    if (error instanceof PlainAclError) throw new ConfigError([error.message]);
    throw error;
  }
}

function textOf(disk: Disk, file: string): string {
  return disk.readAll(file).toString("utf8");
}

/** Accounts that follow their files. A change that cannot be used leaves the old ones in force and says why. */
export class WatchedPlainUsers {
  readonly users: PlainUsers;
  readonly #watch: FileWatch;

  /** @throws ConfigError */
  constructor(runtime: Runtime, home: string) {
    const { clock, disk, log } = runtime;
    const watched = (): string[] => {
      const { files, directories } = placesOf(runtime, home);
      return [...files, ...directories, path.join(home, FILE)];
    };
    this.users = new PlainUsers(loadPlainAcl(runtime, home));
    this.#watch = new FileWatch(clock, stampOf(disk), WATCH_PERIOD_MS, watched(), () => {
      try {
        this.users.replace(loadPlainAcl(runtime, home));
        log.info({ audit: true, home }, "accounts of ACL 1.0 read again");
      } catch (error) {
        log.error(
          { err: (error as Error).message },
          "accounts of ACL 1.0 changed, but cannot be used: the old ones stay in force",
        );
      }
      this.#watch.watch(watched());
    });
  }

  close(): void {
    this.#watch.close();
  }
}
