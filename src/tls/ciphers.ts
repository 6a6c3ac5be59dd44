/** Names of cipher suites: operators write Java's (tls.ciphers of Apache), OpenSSL and so Node take their own below TLS 1.3. */

const KEY_EXCHANGES = new Map([
  ["ECDHE_ECDSA", "ECDHE-ECDSA-"],
  ["ECDHE_RSA", "ECDHE-RSA-"],
  ["DHE_RSA", "DHE-RSA-"],
  ["RSA", ""],
]);

/**
 * The list as Node takes it.
 * @param known the suites that this Node has, lower case (`tls.getCiphers()`)
 * @throws Error naming the first suite that it has not
 */
export function cipherList(names: readonly string[], known: readonly string[]): string {
  const have = new Set(known);
  return names
    .map((name) => {
      const ours = opensslName(name);
      if (!have.has(ours.toLowerCase())) throw new Error(`tls.ciphers: there is no cipher suite ${name}`);
      return ours;
    })
    .join(":");
}

/** TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 -> ECDHE-RSA-AES128-GCM-SHA256; all other names stay. */
function opensslName(name: string): string {
  const parts = /^TLS_(\w+)_WITH_(\w+?)_(SHA|SHA256|SHA384)$/.exec(name);
  const exchange = parts === null ? undefined : KEY_EXCHANGES.get(parts[1]);
  if (parts === null || exchange === undefined) return name;
  const cipher = parts[2].replace(/^AES_(\d+)/, "AES$1").replace(/_CBC$/, "");
  const digest = cipher.startsWith("CHACHA20") ? "" : `-${parts[3]}`;
  return `${exchange}${cipher.replaceAll("_", "-")}${digest}`;
}
