/**
 * One entry's payload as bytes and back. The bytes are forever: golden files in fixtures/events/ hold every version of
 * every event type, and older events are brought up to date on reading, never rewritten.
 */
import { entryBytesMax } from "@aether/core/kernel/event";
import type { DomainEvent, EntryPayload, RecordedRequest } from "@aether/core/kernel/event";
import type { Registry } from "@aether/core/kernel/registry";
import { packValue, unpackValue } from "./value-codec.ts";

/** The payload is larger than one entry may be; nothing was proposed. */
export class EntryTooLarge extends Error {
  override readonly name = "EntryTooLarge";
  readonly bytes: number;
  constructor(bytes: number) {
    super(`entry of ${bytes} bytes; at most ${entryBytesMax} are allowed`);
    this.bytes = bytes;
  }
}

/** Equal payloads give equal bytes. Throws {@link EntryTooLarge} above entryBytesMax. */
export function encodeEntry(p: EntryPayload): Uint8Array {
  // one literal fixes the order of the envelope's fields whatever the caller's was
  const bytes = packValue({
    at: p.at,
    actor: { name: p.actor.name, role: p.actor.role },
    cause: p.cause,
    request: p.request === null ? null : requestFields(p.request),
    events: p.events,
  });
  if (bytes.length > entryBytesMax) throw new EntryTooLarge(bytes.length);
  return bytes;
}

const requestFields = (r: RecordedRequest): RecordedRequest => ({
  client: r.client,
  id: r.id,
  fingerprint: r.fingerprint,
  version: r.version,
  ...(r.answer === undefined ? {} : { answer: r.answer }),
});

/** The payload as it was written: events keep the version they were written in. Throws on bytes that are no payload. */
export function decodeEntry(bytes: Uint8Array): EntryPayload {
  const payload = unpackValue(bytes) as EntryPayload;
  if (typeof payload !== "object" || payload === null || !Number.isSafeInteger(payload.at) || !Array.isArray(payload.events)) {
    throw new Error(`${bytes.length} bytes that are no entry payload`);
  }
  return payload;
}

/** The payload with every event in its current version. Throws on an event this build does not know: stop, never skip. */
export function decodeCurrent(bytes: Uint8Array, registry: Registry): EntryPayload {
  const payload = decodeEntry(bytes);
  let events: DomainEvent[] | null = null;
  for (let i = 0; i < payload.events.length; i++) {
    const event = payload.events[i] as DomainEvent;
    const current = registry.upcast(event);
    if (current === event) continue;
    events ??= [...payload.events];
    events[i] = current;
  }
  return events === null ? payload : { ...payload, events };
}
