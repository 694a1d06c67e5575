/** A log is given to another member: its entries stay, and whose it is changes. */
import { invariant } from "@aether/raft/errors";
import { encodeGuard, guardOwner } from "../log/guard.ts";
import { decodeHard, encodeFormat, type FolderIdentity, formatKey, hardKey } from "../log/keys.ts";
import { guardSlotBytes } from "../log/ports.ts";
import type { LogPorts } from "../log/start.ts";

/**
 * Makes the log on `ports` that of `owner`. It must have been verified and closed as its old owner's before, and be a copy that nobody
 * needs: a crash in the middle leaves one that is neither's.
 */
export async function readdressLog(ports: LogPorts, owner: FolderIdentity): Promise<void> {
  const bytes = ports.keyValue.getSync(hardKey);
  const record = bytes === undefined ? undefined : decodeHard(bytes);
  invariant(record !== undefined, "a log that was verified has a hard state");
  await ports.keyValue.batch([{ type: "put", key: formatKey, value: encodeFormat(owner) }], { sync: true });
  const { hard, last, chain } = record;
  await ports.guard.write(0, encodeGuard(0, guardOwner(owner), { term: hard.term, vote: hard.vote, last, chain }));
  await ports.guard.write(1, Buffer.alloc(guardSlotBytes));
}
