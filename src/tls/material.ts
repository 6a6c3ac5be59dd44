/** Certificates and keys from files: what is read, and the exact reason when it cannot be. */

export interface Certificate {
  /** PEM, with its chain. */
  cert: string;
  /** PEM. */
  key: string;
  passphrase?: string;
}

/** Reads files by name; throws when one cannot be read. */
export type ReadFile = (file: string) => string;

/** The text of the file that an option names. @throws Error naming option and file */
export function readNamed(option: string, file: string, read: ReadFile): string {
  try {
    return read(file);
  } catch (error) {
    throw new Error(`${option}=${file} cannot be read: ${(error as Error).message}`);
  }
}

/** @param names the options that name the files, for the reason */
export function readCertificate(
  names: { cert: string; key: string },
  files: { certPath: string; keyPath: string; keyPassword?: string | undefined },
  read: ReadFile,
): Certificate {
  const pair = { cert: readNamed(names.cert, files.certPath, read), key: readNamed(names.key, files.keyPath, read) };
  return files.keyPassword === undefined || files.keyPassword === ""
    ? pair
    : { ...pair, passphrase: files.keyPassword };
}
