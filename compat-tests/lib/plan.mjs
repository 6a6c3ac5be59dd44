// What runs together. A suite is one run of a client program against servers of one kind: all its scenarios of the setups whose servers are
// shared, because a JVM for each setup would cost more than the scenarios; or those of one setup that gives each client its own server.

import { SCENARIOS } from "./scenarios.mjs";
import { SETUPS } from "./setups.mjs";
import { reasonFor } from "./verdict.mjs";

/**
 * @typedef {{ kind: string, setupName: string, label: string, users: number }} Place a server to be: how many suites come, and its name.
 * @typedef {{ names: string[], place: Place }} Part scenarios that need one setup.
 * @typedef {{ client: any, kind: string, label: string, parallel: number, parts: Part[] }} Suite
 * @param {{ clients: { id: string, offered: string[], between?: boolean }[], kinds: string[], names: string[], all?: boolean }} wanted `names` in the
 *   order in which they are to begin; `all`: clients of versions between two others take part in what needs servers of its own, too.
 * @returns {Suite[]} the kinds by turns, so that both see the same load.
 */
export function planSuites({ clients, kinds, names, all = false }, setups = SETUPS, scenarios = SCENARIOS) {
  const suites = [];
  const shared = new Map();
  const take = (kind, setupName, owner) => {
    const label = owner === undefined ? setupName : `${setupName}, ${owner.id}`;
    const key = `${kind} ${label}`;
    if (!shared.has(key)) shared.set(key, { kind, setupName, label, users: 0 });
    shared.get(key).users++;
    return shared.get(key);
  };
  for (const client of clients) {
    const mine = names.filter(
      (name) => client.offered.includes(name) && !reasonFor(scenarios[name].without, client.id),
    );
    for (const kind of kinds) {
      const together = [];
      for (const [setupName, { parallel, ownServer }] of Object.entries(setups)) {
        const some = mine.filter((name) => scenarios[name].setup === setupName);
        if (some.length === 0 || (ownServer && client.between && !all)) continue;
        const part = { names: some, place: take(kind, setupName, ownServer ? client : undefined) };
        if (ownServer) suites.push({ client, kind, label: setupName, parallel, parts: [part] });
        else together.push(part);
      }
      if (together.length === 0) continue;
      const parallel = Math.max(...together.map(({ place }) => setups[place.setupName].parallel));
      suites.push({
        client,
        kind,
        label: "shared servers",
        parallel,
        parts: together,
      });
    }
  }
  return suites;
}
