/**
 * `<dataDir>/identity.json`: what the folder was formatted for. It is written last when a folder is formatted, so its
 * presence says that the log beside it was there and whole.
 */
import { join } from "node:path";
import * as Schema from "effect/Schema";
import { readIfThere, writeDurably } from "./durable-file.ts";

const MemberId = Schema.Number.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(1));
const Seat = Schema.Struct({ name: Schema.String, member: MemberId, address: Schema.String });

export const FormattedFor = Schema.Struct({
  cluster: Schema.Struct({ id: Schema.String, name: Schema.String }),
  node: Schema.String,
  member: MemberId,
  /** first: one of the first voters. joined: taken in by a running cluster, as a learner. */
  origin: Schema.Literals(["first", "joined"]),
  /** Members known when it was formatted, itself included: whom to dial before the log says more. */
  members: Schema.Array(Seat),
});
export type FormattedFor = typeof FormattedFor.Type;
export type Seat = typeof Seat.Type;

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(FormattedFor));
const pathOf = (dataDir: string): string => join(dataDir, "identity.json");

/** Null when the folder is not formatted; "unreadable" when the file is there and makes no sense. */
export async function readIdentityFile(dataDir: string): Promise<FormattedFor | null | "unreadable"> {
  const text = await readIfThere(pathOf(dataDir));
  if (text === null) return null;
  try {
    return decode(text);
  } catch {
    return "unreadable";
  }
}

export const writeIdentityFile = (dataDir: string, identity: FormattedFor): Promise<void> =>
  writeDurably(pathOf(dataDir), `${JSON.stringify(identity, null, 2)}\n`);
