import { invariant } from "../errors.ts";
import type { Index } from "../types.ts";

/**
 * The appends sent to one follower and not yet acknowledged, oldest first: a window limited in messages and in bytes.
 * The byte limit is soft: the message that crosses it still goes, the next one waits.
 */
export class Inflights {
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Rings of equal length: last index and payload bytes of each message. They grow on demand up to `maxMessages`. */
  private lasts: Index[] = [];
  private sizes: number[] = [];
  private head = 0;
  count = 0;
  bytes = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.maxMessages = maxMessages;
    this.maxBytes = maxBytes;
  }

  full(): boolean {
    return this.count >= this.maxMessages || this.bytes >= this.maxBytes;
  }

  /** Remembers a message whose last entry is `last`. Throws when the window is full: callers ask {@link full} first. */
  add(last: Index, bytes: number): void {
    invariant(!this.full(), "A7 nothing is sent into a full window");
    if (this.count === this.lasts.length) this.grow();
    const at = (this.head + this.count) % this.lasts.length;
    this.lasts[at] = last;
    this.sizes[at] = bytes;
    this.count++;
    this.bytes += bytes;
  }

  /** Forgets every message whose last entry is at or below `index`. */
  freeTo(index: Index): void {
    while (this.count > 0 && this.lasts[this.head]! <= index) {
      this.bytes -= this.sizes[this.head]!;
      this.head = (this.head + 1) % this.lasts.length;
      this.count--;
    }
    invariant(
      this.bytes >= 0 && (this.count > 0 || this.bytes === 0),
      "A7 the bytes in flight are those of the messages tracked",
    );
  }

  reset(): void {
    this.head = 0;
    this.count = 0;
    this.bytes = 0;
  }

  private grow(): void {
    const length = Math.min(this.maxMessages, Math.max(8, this.lasts.length * 2));
    const lasts = Array.from({ length }, () => 0);
    const sizes = Array.from({ length }, () => 0);
    for (let i = 0; i < this.count; i++) {
      const from = (this.head + i) % this.lasts.length;
      lasts[i] = this.lasts[from]!;
      sizes[i] = this.sizes[from]!;
    }
    this.lasts = lasts;
    this.sizes = sizes;
    this.head = 0;
  }
}
