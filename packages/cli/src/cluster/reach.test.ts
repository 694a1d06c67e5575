/** Members whose machines are not where this computer left them. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeJournal, type Journal } from "../bootstrap/journal.ts";
import type { Api, InstanceAnswer, MemberAnswer, NodeAnswer } from "../context/api.ts";
import type { Connection } from "../context/connection.ts";
import { readContexts, saveContext, type Context } from "../context/contexts.ts";
import { clusterFolder } from "../context/home.ts";
import { exit, Failure } from "../shell/failure.ts";
import { keepEndpoints } from "./keep-endpoints.ts";
import { viewCluster, type MemberView } from "./members.ts";
import { renderStatus } from "./status.ts";

const cluster = { id: "c".repeat(32), name: "prod" };
const publicOf = (at: number) => `203.0.113.${at}:7400`;
const privateOf = (at: number) => `10.0.0.${at}:7400`;
const context = (...endpoints: readonly string[]): Context => ({
  name: "prod",
  cluster,
  endpoints,
  ca: "/x/ca.pem",
  certificate: "/x/operator.pem",
  key: "/x/operator.key",
});

/** What the log says: n1, n2 and n3 on duty at their private addresses. n3 has been replaced: its member is 4 and its address 10.0.0.4. */
const rows = (contact: NodeAnswer["contact"] = "reachable") => [
  rowOf("n1", 1, 1, "reachable"),
  rowOf("n2", 2, 2, "reachable"),
  rowOf("n3", 4, 4, contact),
];
const rowOf = (name: string, member: number, at: number, contact: NodeAnswer["contact"]) =>
  ({ name, member, address: privateOf(at), duty: "on-duty", contact, left: false }) as NodeAnswer;

/** A network: which member answers at which address, seen from this computer. All others are silent. */
type Network = Readonly<Record<string, readonly [node: string, member: number]>>;

function connectionOver(network: Network, used: Context, nodes: readonly NodeAnswer[], machines = machinesOf(nodes)): Connection {
  const member = (address: string): Api => ({
    call: <A>(_method: string, path: string): Promise<A> => {
      const found = network[address];
      if (found === undefined) return Promise.reject(new Failure(exit.notReady, `no member answers: ${address}`, ""));
      if (path.startsWith("/v1/nodes")) return Promise.resolve({ index: 9, nodes } as A);
      if (path.startsWith("/v1/instances")) return Promise.resolve({ index: 9, instances: machines } as A);
      return Promise.resolve(answerOf(...found) as A);
    },
    bytes: () => Promise.reject(new Error("nobody reads bytes here")),
    lines: () => Promise.reject(new Error("nobody reads lines here")),
    close: () => undefined,
  });
  return { context: used, api: member(used.endpoints[0] ?? ""), member, close: () => undefined };
}

const answerOf = (node: string, member: number): Partial<MemberAnswer> => ({
  node,
  member,
  role: member === 1 ? "leader" : "follower",
  leader: { node: "n1", member: 1 } as MemberAnswer["leader"],
  term: 3,
  commit: 9,
  applied: 9,
  digest: null,
  voters: [1, 2, 4],
});

function machinesOf(nodes: readonly NodeAnswer[]): readonly InstanceAnswer[] {
  return nodes.map(({ name, address }) => ({ node: name, provider: "hetzner", state: "enrolled", address }) as InstanceAnswer);
}

const oldPlaces = [publicOf(1), publicOf(2), publicOf(3)];
/** Those that were not replaced, from outside. */
const twoAnswer: Network = { [publicOf(1)]: ["n1", 1], [publicOf(2)]: ["n2", 2] };

describe("a node that the leader has replaced", () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "aether-reach-"));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  /** Of before n3 was replaced. */
  async function writeOldJournal(clusterId = cluster.id): Promise<void> {
    const nodes = [1, 2, 3].map((at) => {
      const machine = { attempt: 1, zone: "a", size: "s", instance: `i-${at}`, dial: publicOf(at) };
      return { name: `n${at}`, member: at, address: privateOf(at), seeds: [], machine };
    });
    const path = clusterFolder(home, "prod").journal;
    mkdirSync(dirname(path), { recursive: true });
    const cloud = { provider: "hetzner", nodePort: 7400 };
    await writeJournal(path, {
      format: 1,
      name: "prod",
      cloud,
      state: "ready",
      formed: true,
      settings: {},
      identity: { clusterId, nodes },
    } as unknown as Journal);
  }
  const look = (network: Network, nodes = rows(), machines = machinesOf(nodes)) =>
    viewCluster(connectionOver(network, context(...oldPlaces), nodes, machines), home);
  const placesOf = (members: readonly MemberView[]) => members.map(({ name, address, reach }) => [name, address, reach]);

  it("is found at the address that the log tells, by whoever reaches that", async () => {
    await writeOldJournal();
    const { members } = await look({ ...twoAnswer, [privateOf(4)]: ["n3", 4] });
    expect(placesOf(members)).toEqual([
      ["n1", publicOf(1), "here"],
      ["n2", publicOf(2), "here"],
      ["n3", privateOf(4), "here"],
    ]);
  });

  it("is found by what the log says of its machine before the node has joined with it", async () => {
    const nodes = [...rows().slice(0, 2), rowOf("n3", 3, 3, "lost")];
    const machines = [...machinesOf(nodes).slice(0, 2), { ...machinesOf(rows())[2], state: "running" } as InstanceAnswer];
    const { members } = await look({ ...twoAnswer, [privateOf(4)]: ["n3", 0] }, nodes, machines);
    expect(members[2]).toMatchObject({ address: privateOf(4), reach: "here" });
  });

  it("is not called silent where only its peers reach it, as long as a quorum that answers is in contact with it", async () => {
    await writeOldJournal();
    const view = await look(twoAnswer);
    expect(view.members[2]).toMatchObject({ address: privateOf(4), answers: false, reach: "elsewhere" });
    const text = renderStatus({ ...view, backup: null }, { paint: (_colour, words) => words }, false);
    expect(text).toContain("not reachable from here");
    expect(text).not.toContain("silent");

    const lost = await look(twoAnswer, rows("lost"));
    expect(lost.members[2]?.reach).toBe("nowhere");
    expect(renderStatus({ ...lost, backup: null }, { paint: (_colour, words) => words }, false)).toContain("silent");
    // One of three answers: what it has of the log may be old.
    const alone = await look({ [publicOf(1)]: ["n1", 1] });
    expect(alone.members.map(({ reach }) => reach)).toEqual(["here", "nowhere", "nowhere"]);
  });

  it("is silent, as any, at an address where this computer has reached it", async () => {
    await writeOldJournal();
    const { members } = await look({ [publicOf(1)]: ["n1", 1], [privateOf(4)]: ["n3", 4] });
    expect(placesOf(members)[1]).toEqual(["n2", publicOf(2), "nowhere"]);
  });

  it("is not taken for the machine that it had before, should that answer still", async () => {
    await writeOldJournal();
    const { members } = await look({ ...twoAnswer, [publicOf(3)]: ["n3", 3], [privateOf(4)]: ["n3", 4] });
    expect(members[2]).toMatchObject({ address: privateOf(4), reach: "here" });
  });

  it("leaves the others where a computer without a journal reaches them", async () => {
    const { members } = await look(twoAnswer);
    expect(placesOf(members)).toEqual([
      ["n1", publicOf(1), "here"],
      ["n2", publicOf(2), "here"],
      ["n3", privateOf(4), "elsewhere"],
    ]);
  });

  it("comes into the context of the computer that made the cluster, also when another endpoint was named", async () => {
    await writeOldJournal();
    await saveContext(home, context(...oldPlaces), true);
    const shell = { home, err: (text: string) => expect.unreachable(text) };
    const { members } = await look({ ...twoAnswer, [privateOf(4)]: ["n3", 4] });
    await keepEndpoints(shell, context("198.51.100.9:7400"), members);
    const now = [publicOf(1), publicOf(2), privateOf(4)];
    expect((await readContexts(home)).contexts[0]).toEqual(context(...now));

    // One that is silent keeps its place, and one that only its peers reach has none.
    await saveContext(home, context(publicOf(3)), true);
    await keepEndpoints(shell, context(publicOf(3)), (await look({ ...twoAnswer })).members);
    expect((await readContexts(home)).contexts[0]).toEqual(context(publicOf(1), publicOf(2)));
  });

  it("changes no context that a person wrote: without a journal, or with that of another cluster", async () => {
    await saveContext(home, context(publicOf(3)), true);
    const shell = { home, err: (text: string) => expect.unreachable(text) };
    const { members } = await look({ ...twoAnswer, [privateOf(4)]: ["n3", 4] });
    await keepEndpoints(shell, context(publicOf(3)), members);
    await writeOldJournal("d".repeat(32));
    await keepEndpoints(shell, context(publicOf(3)), members);
    expect((await readContexts(home)).contexts[0]).toEqual(context(publicOf(3)));
  });
});
