/** metricsGrpcExporterTarget as an address (Apache looks only whether it is blank). */

/** host:port, with https:// before it unless it begins with http. Undefined for what is no address. */
export function collectorAddress(target: string): URL | undefined {
  const text = target.trim();
  const url = text.startsWith("http") ? text : `https://${text}`;
  return text !== "" && URL.canParse(url) ? new URL(url) : undefined;
}
