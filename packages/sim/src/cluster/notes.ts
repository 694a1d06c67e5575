/**
 * What daemons say to each other besides Raft, with the product's rules: others vouch for a disk before its process takes
 * part, and once a second everybody hears what the others know.
 */
import { runRound, roundMs } from "@aether/node/controllers/peer-rounds";
import { makeAddressBook, type AddressBook } from "@aether/node/daemon/address-book";
import { composeNotes, floorsNow } from "@aether/node/daemon/own-notes";
import { nodeRows } from "@aether/node/daemon/rows";
import { decodePeerNotes, type PeerNotes } from "@aether/node/member/peer-notes";
import { awaitVouchers } from "@aether/node/member/vouching";
import type { Floors } from "@aether/node/member/floors";
import { Violation } from "../checks/violation.ts";
import type { Process } from "../world/world.ts";
import type { Cluster } from "./cluster.ts";
import { addressOf, clusterId, diskEnds, nameAt } from "./names.ts";
import type { Opened, Running, SimNode } from "./node.ts";

const askMs = 700;
const pauseMs = 200;
const build = "simulated";

export const bookOf = (node: SimNode): AddressBook => makeAddressBook(addressOf(node.name), [], node.seats);

/** GET /v1/peer/notes of each: there and back over the network; who does not answer in time is left out. */
export async function gather(
  cluster: Cluster,
  from: SimNode,
  process: Process | null,
  addresses: readonly string[],
): Promise<readonly PeerNotes[]> {
  const asked = addresses.flatMap((address) => cluster.nodes.filter(({ name }) => name === nameAt(address)));
  const replies = await Promise.all(asked.map((target) => ask(cluster, from, process, target)));
  return replies.filter((reply) => reply !== null);
}

function ask(cluster: Cluster, from: SimNode, process: Process | null, target: SimNode): Promise<PeerNotes | null> {
  const { world, network } = cluster;
  const chance = cluster.stream("notes");
  return new Promise((resolve) => {
    world.after(askMs, process, "no notes", () => resolve(null));
    network.pass(from.name, target.name, chance, () => {
      const asked = target.process;
      if (asked === null) return;
      world.within(asked, "asked for notes", () => {
        const text = notesOf(target);
        if (text === null) return;
        network.pass(target.name, from.name, chance, () => {
          const heard = (): void => resolve(decodePeerNotes(JSON.parse(text)));
          if (process === null) heard();
          else world.within(process, "notes", heard);
        });
      });
    });
  });
}

/** As they go over the wire; null before the process has looked at its folder. */
function notesOf({ name, opened, running, floors }: SimNode): string | null {
  if (floors === null) return null;
  const status = running?.driver.status() ?? null;
  const store = opened?.store ?? null;
  const [term, last] = [status?.hard.term ?? opened?.term ?? 0, status?.last.index ?? opened?.last.index ?? 0];
  const known = floorsNow(floors, status);
  const fields = { clusterId, node: name, build, member: opened?.member ?? 0, term, last, leader: null, floors: known };
  return JSON.stringify(composeNotes({ ...fields, store }));
}

/** Resolves with why the disk may not take part, or null. */
export function vouch(
  cluster: Cluster,
  node: SimNode,
  process: Process,
  { member, store, last, term }: Opened,
): Promise<string | null> {
  const book = bookOf(node);
  const { voters } = store.membership;
  return awaitVouchers({
    question: { member, voters: voters.length > 0 ? voters : book.seated, applied: store.applied, last, term },
    ask: (named) => gather(cluster, node, process, book.others(store.world, named)),
    pause: () => new Promise((resume) => cluster.world.after(pauseMs, process, "vouching", resume)),
    ended: () => !process.alive,
    onWaiting: () => undefined,
  });
}

/** The rounds of a running member, as long as its process lives. */
export function startRounds(cluster: Cluster, node: SimNode, process: Process, running: Running, floors: Floors): void {
  const { store, driver, member } = running;
  const book = bookOf(node);
  const wrong = (rule: string, why: string): void => cluster.failed(new Violation(rule, `${node.name} (${member}): ${why}`));
  const round = {
    node: node.name,
    member,
    build,
    store,
    status: () => driver.status(),
    floors,
    ask: () => gather(cluster, node, process, book.others(store.world)),
    ownRow: () => nodeRows(store.world).find(({ name }) => name === node.name),
    onAlone: ({ index }: { readonly index: number }) => wrong("equal state digests", `its world differs at checkpoint ${index}`),
    onDeparture: (departure: { readonly v: "left" } | { readonly v: "removed"; readonly why: string }) => {
      if (departure.v === "left") node.leave();
      else wrong("no member ends itself", departure.why);
    },
    onError: (error: Error) => cluster.failed(error),
  };
  let busy = false;
  const tick = (): void => {
    cluster.world.after(roundMs, process, "round", tick);
    if (busy) return;
    busy = true;
    runRound(round, () => !process.alive)
      // A disk that refuses the floors is told of, as in the product; the next round writes them.
      .catch((error: Error) => diskEnds.test(error.message) || cluster.failed(error))
      .finally(() => (busy = false));
  };
  tick();
}
