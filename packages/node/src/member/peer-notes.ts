/**
 * What members tell each other once a second besides Raft: how far they are, what they know of others' disks, and their
 * digests at the checkpoints. Served on GET /v1/peer/notes in every phase, also before this node takes part.
 */
import * as Schema from "effect/Schema";
import { FloorRecord } from "./floors.ts";
import type { PeerHttp } from "./peer-http.ts";

const Id = Schema.Number.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0));
const Ids = Schema.Array(Id);

export const PeerNotes = Schema.Struct({
  clusterId: Schema.String,
  node: Schema.String,
  /** Version of the program: digests are compared between equal ones only, for another may sum up the same world differently. */
  build: Schema.String,
  /** 0 while it has no data folder. */
  member: Id,
  /** The world has a cluster row: the first start is over. */
  initialised: Schema.Boolean,
  term: Id,
  applied: Id,
  last: Id,
  leader: Schema.NullOr(Schema.Struct({ node: Schema.String, member: Id, address: Schema.String })),
  voters: Ids,
  learners: Ids,
  floors: FloorRecord,
  checkpoints: Schema.Array(Schema.Struct({ index: Id, digest: Schema.String })),
  nodes: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      member: Id,
      address: Schema.NullOr(Schema.String),
      duty: Schema.String,
      /** It has had a data folder before. */
      joined: Schema.Boolean,
      left: Schema.Boolean,
    }),
  ),
});
export type PeerNotes = typeof PeerNotes.Type;

/** Throws on anything that is not notes. */
export const decodePeerNotes = Schema.decodeUnknownSync(PeerNotes);

const path = "/v1/peer/notes";

/**
 * Asks all addresses at once and gives what those of this cluster said within `timeoutMs`; silence and nonsense are left
 * out. `addresses` must not name this node itself.
 */
export async function gatherNotes(
  http: PeerHttp,
  clusterId: string,
  addresses: readonly string[],
  timeoutMs: number,
): Promise<readonly PeerNotes[]> {
  const replies = await Promise.all(addresses.map((address) => http.ask("GET", address, path, timeoutMs)));
  return replies.flatMap((reply) => {
    if (!reply.ok || reply.status !== 200) return [];
    try {
      const notes = decodePeerNotes(reply.body);
      return notes.clusterId === clusterId ? [notes] : [];
    } catch {
      return [];
    }
  });
}
