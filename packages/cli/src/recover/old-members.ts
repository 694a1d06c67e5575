/** Who of an old cluster still answers. A recovery from one disk is for a quorum that is lost for good, and this is what can be seen of that. */
import { connect } from "node:tls";
import type { MemberAnswer } from "../context/api.ts";
import { connectContext } from "../context/connection.ts";
import type { Context } from "../context/contexts.ts";
import { exit, Failure } from "../shell/failure.ts";

export interface OldMember {
  readonly name: string;
  readonly member: number;
  /** "host:port", null when nobody knows. */
  readonly address: string | null;
}

export interface OldMembers {
  readonly clusterId: string;
  /** Each of these sets has to have its majority for a quorum to stand: the voters, and those on their way out, when there are any. */
  readonly quorums: readonly (readonly number[])[];
  /** The entry that this is known of. */
  readonly asOf: number;
  readonly members: readonly OldMember[];
}

/** What one of them says of itself. */
export type Seen = Pick<MemberAnswer, "node" | "member" | "applied" | "voters" | "leader" | "last">;

const askMs = 2_000;

/**
 * Asks all of them at once. With a context of their cluster they say who they are; without one, only whose certificate answers is seen, and
 * whoever answers counts as a member that may be one of a quorum.
 */
export async function seeOldMembers(old: OldMembers, context: Context | null): Promise<readonly Seen[]> {
  const addresses = [...new Set(old.members.flatMap(({ address }) => (address === null ? [] : [address])))];
  const seen = context === null ? await probeAll(old, addresses) : await askAll(context, addresses);
  return [...new Map(seen.map((one) => [one.member, one])).values()].filter(({ member }) => member !== 0);
}

async function askAll(context: Context, addresses: readonly string[]): Promise<readonly Seen[]> {
  const connection = await connectContext(context);
  const ask = async (address: string): Promise<readonly Seen[]> => {
    try {
      return [await connection.member(address).call<MemberAnswer>("GET", "/v1/member", { timeoutMs: askMs })];
    } catch (error) {
      if (error instanceof Failure) return [];
      throw error;
    }
  };
  try {
    return (await Promise.all(addresses.map(ask))).flat();
  } finally {
    connection.close();
  }
}

async function probeAll(old: OldMembers, addresses: readonly string[]): Promise<readonly Seen[]> {
  const names = await Promise.all(addresses.map((address) => memberNameAt(address, old.clusterId)));
  return old.members
    .filter(({ name }) => names.includes(name))
    .map(({ name, member }) => ({ node: name, member, applied: 0, voters: [], leader: null, last: 0 }));
}

/** The name in the certificate of a member of that cluster which listens there, or null. Nothing is believed of it but that it is there. */
export function memberNameAt(address: string, clusterId: string): Promise<string | null> {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const socket = connect({ host: host ?? "", port: Number(port), rejectUnauthorized: false, timeout: askMs });
    const end = (name: string | null): void => {
      socket.destroy();
      resolve(name);
    };
    socket.once("secureConnect", () => {
      const names = socket.getPeerCertificate().subjectaltname ?? "";
      end(new RegExp(`aether://${clusterId}/member/([A-Za-z0-9._-]+)`).exec(names)?.[1] ?? null);
    });
    socket.once("error", () => end(null));
    socket.once("timeout", () => end(null));
  });
}

/** Refuses while the old cluster may live: a quorum of it answers, or one that answers follows a leader. */
export function refuseLiving(old: OldMembers, seen: readonly Seen[], cluster: string): void {
  const names = seen.map(({ node }) => node).join(", ");
  const newest = seen
    .filter(({ applied, voters }) => applied > old.asOf && voters.length > 0)
    .toSorted((a, b) => b.applied - a.applied)[0];
  const quorums = newest === undefined ? old.quorums : [newest.voters];
  const holds = quorums.find(
    (voters) => voters.filter((id) => seen.some(({ member }) => member === id)).length > voters.length / 2,
  );
  const hint = `a quorum that answers can go on: aether cluster status shows it, aether cluster start brings back what is down`;
  if (holds !== undefined) {
    const needed = Math.floor(holds.length / 2) + 1;
    const message = `${cluster} is not lost: of its ${holds.length} voters ${names} answer, and ${needed} are a quorum`;
    throw new Failure(exit.rejected, message, hint);
  }
  const follower = seen.find(({ leader }) => leader !== null);
  if (follower === undefined) return;
  const message = `${cluster} is not lost: ${follower.node} answers, and ${follower.leader?.node} leads as far as it knows`;
  throw new Failure(
    exit.rejected,
    message,
    `${hint}; a leader that has just lost its quorum notices within seconds: then run this again`,
  );
}
