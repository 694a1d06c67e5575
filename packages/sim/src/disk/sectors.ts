import type { Stream } from "../world/stream.ts";

/** What a disk writes as a whole, if nothing goes wrong. */
export const sectorBytes = 512;
/** Half of the tears are this near to an edge of their sector: what is written of one is often no more than its beginning. */
const nearBytes = 64;

/**
 * Power fails before `now` was synced over `then`: each 512-byte sector that differs is kept, lost or torn by itself. `then` becomes
 * what is left, as far as `now` goes; it is no shorter.
 */
export function tear(then: Uint8Array, now: Uint8Array, stream: Stream): void {
  for (let at = 0; at < now.length; at += sectorBytes) {
    const end = Math.min(at + sectorBytes, now.length);
    if (Buffer.compare(now.subarray(at, end), then.subarray(at, end)) === 0) continue;
    const [fate, near, back] = [stream.below(3), stream.chance(0.5), stream.chance(0.5)];
    const offset = stream.below(near ? Math.min(nearBytes, end - at) : end - at);
    if (fate === 0) continue;
    const [from, to] = fate === 1 ? [at, end] : back ? [end - offset, end] : [at, at + offset];
    then.set(now.subarray(from, to), from);
  }
}
