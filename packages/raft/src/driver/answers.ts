import { invariant } from "../errors.ts";
import type { AppendBatch, Envelope } from "../types.ts";

/**
 * What may leave now that `batches` are durable, in their order. Of several acks to one leader in a row only the highest is
 * kept: it vouches for all below it, and a follower that wrote ten messages with one sync answers them with one.
 */
export function answersOf(batches: readonly AppendBatch[]): Envelope[] {
  const answers: Envelope[] = [];
  for (const { thenSend, last } of batches) {
    for (const envelope of thenSend) {
      const { m } = envelope;
      if (m.t === "appResp" && m.reject === null) {
        invariant(m.index <= last.index, "A8 an ack never names an entry that is not durable");
        if (replacesLast(answers, envelope, m.index)) continue;
      }
      answers.push(envelope);
    }
  }
  return answers;
}

/** True when `ack`, or the one before it, already says what the other does; the higher one then stands last in `answers`. */
function replacesLast(answers: Envelope[], ack: Envelope, index: number): boolean {
  const before = answers.at(-1);
  if (before === undefined || before.m.t !== "appResp" || before.m.reject !== null) return false;
  if (before.to !== ack.to || before.term !== ack.term) return false;
  if (index > before.m.index) answers[answers.length - 1] = ack;
  return true;
}
