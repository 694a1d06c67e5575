import { changeFromNothing, changeSimply, type Changed, enterJoint, leaveJoint, memberIds } from "./core/confchange.ts";
import type { Change, ConfigChange, Membership } from "./types.ts";

/**
 * The membership after `change`, or why it does not apply. Deterministic in its two arguments, so every member that
 * applies the entry decides alike; an entry that does not apply changes nothing anywhere.
 */
export function applyConfigChange(m: Membership, change: ConfigChange): Changed {
  if (change.leave) return change.changes.length === 0 ? leaveJoint(m) : { reason: "leaving a joint change carries no changes" };
  if (change.changes.length === 0) return { reason: "the change is empty" };
  if (memberIds(m).length === 0) return changeFromNothing(m, change.changes);
  if (change.transition === "joint") return enterJoint(m, true, change.changes);
  if (change.transition === "explicit") return enterJoint(m, false, change.changes);
  const simple = changeSimply(m, change.changes);
  return "reason" in simple && change.changes.length > 1 ? enterJoint(m, true, change.changes) : simple;
}

const ops: readonly Change["op"][] = ["addVoter", "addLearner", "remove"];
const transitions: readonly ConfigChange["transition"][] = ["auto", "joint", "explicit"];
const format = 1;
const headBytes = 9;
const changeBytes = 5;

/**
 * The bytes of a config entry: format 1, transition, leave, number of changes (u16), length of the context (u32), then
 * per change its op and id (u32), then the context. Big-endian.
 */
export function encodeConfigChange(change: ConfigChange): Uint8Array {
  const { changes, context } = change;
  if (changes.length > 0xffff) throw new RangeError(`a change of ${changes.length} members`);
  const bytes = new Uint8Array(headBytes + changes.length * changeBytes + context.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, format);
  view.setUint8(1, transitions.indexOf(change.transition));
  view.setUint8(2, change.leave ? 1 : 0);
  view.setUint16(3, changes.length);
  view.setUint32(5, context.length);
  let at = headBytes;
  for (const { op, id } of changes) {
    view.setUint8(at, ops.indexOf(op));
    view.setUint32(at + 1, id);
    at += changeBytes;
  }
  bytes.set(context, at);
  return bytes;
}

/** Throws RangeError when the bytes are not an encoded change: a log that verified cannot hold such an entry. */
export function decodeConfigChange(bytes: Uint8Array): ConfigChange {
  if (bytes.length < headBytes) throw new RangeError(`a config entry of ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const transition = transitions[view.getUint8(1)];
  const leave = view.getUint8(2);
  const count = view.getUint16(3);
  const contextAt = headBytes + count * changeBytes;
  if (view.getUint8(0) !== format || transition === undefined || leave > 1)
    throw new RangeError("a config entry of an unknown format");
  if (bytes.length !== contextAt + view.getUint32(5)) throw new RangeError("a config entry of the wrong length");
  const changes: Change[] = [];
  for (let at = headBytes; at < contextAt; at += changeBytes) {
    const op = ops[view.getUint8(at)];
    if (op === undefined) throw new RangeError("a config entry with an unknown operation");
    changes.push({ op, id: view.getUint32(at + 1) });
  }
  return { changes, transition, leave: leave === 1, context: bytes.slice(contextAt) };
}
