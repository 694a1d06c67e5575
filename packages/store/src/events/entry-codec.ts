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

/** The envelope's format; bytes of another one stop the reader. */
export const entryFormat = 1;

type RequestTuple = readonly [client: string, id: string, fingerprint: string, version: number, answer?: unknown];

/**
 * The envelope is a tuple, because every entry has the same fields and every member decodes every entry; events are maps,
 * because they change over the years.
 */
type Envelope = readonly [
  format: number,
  at: number,
  actorName: string,
  actorRole: EntryPayload["actor"]["role"],
  cause: string,
  request: RequestTuple | null,
  events: readonly DomainEvent[],
];

/** Equal payloads give equal bytes. Throws {@link EntryTooLarge} above entryBytesMax. */
export function encodeEntry(p: EntryPayload): Uint8Array {
  const request = p.request === null ? null : requestTuple(p.request);
  const envelope: Envelope = [entryFormat, p.at, p.actor.name, p.actor.role, p.cause, request, p.events];
  const bytes = packValue(envelope);
  if (bytes.length > entryBytesMax) throw new EntryTooLarge(bytes.length);
  return bytes;
}

const requestTuple = ({ client, id, fingerprint, version, answer }: RecordedRequest): RequestTuple =>
  answer === undefined ? [client, id, fingerprint, version] : [client, id, fingerprint, version, answer];

/** The payload as it was written: events keep the version they were written in. Throws on bytes that are no payload. */
export function decodeEntry(bytes: Uint8Array): EntryPayload {
  const envelope = unpackValue(bytes) as Envelope;
  if (
    !Array.isArray(envelope) ||
    envelope[0] !== entryFormat ||
    !Number.isSafeInteger(envelope[1]) ||
    !Array.isArray(envelope[6])
  ) {
    throw new Error(`${bytes.length} bytes that are no entry payload of format ${entryFormat}`);
  }
  const [, at, name, role, cause, request, events] = envelope;
  return { at, actor: { name, role }, cause, request: request === null ? null : recordedRequest(request), events };
}

function recordedRequest([client, id, fingerprint, version, answer]: RequestTuple): RecordedRequest {
  return answer === undefined ? { client, id, fingerprint, version } : { client, id, fingerprint, version, answer };
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
