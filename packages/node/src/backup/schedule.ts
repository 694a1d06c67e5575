/** When the leader backs up by itself. Times are monotonic milliseconds of the caller's. */
import type { BackupSettings } from "@aether/core/config/backup-settings";

/** A change that is followed by others is backed up after so many debounces at the latest. */
export const debouncesMax = 10;

/** Why a backup is made. They are in the log and in commits' messages. */
export const causes = { changed: "changed", interval: "interval", again: "again after a failure" } as const;

export class BackupSchedule {
  readonly #settings: Pick<BackupSettings, "intervalMs" | "debounceMs">;
  #lastBackup: number;
  /** Of the changes since the last backup. */
  #firstChange: number | null = null;
  #lastChange = 0;

  /** `now`: when this leader began; the interval is counted from there. */
  constructor(settings: Pick<BackupSettings, "intervalMs" | "debounceMs">, now: number) {
    this.#settings = settings;
    this.#lastBackup = now;
  }

  /** Something changed. */
  changed(now: number): void {
    this.#firstChange ??= now;
    this.#lastChange = now;
  }

  /** `dirty`: whether something is wanted that the newest commit does not say. */
  due(now: number, dirty: boolean): (typeof causes)["changed" | "interval"] | null {
    const { intervalMs, debounceMs } = this.#settings;
    if (now - this.#lastBackup >= intervalMs) return causes.interval;
    if (!dirty) {
      // what changed was seen, and not wanted
      this.#firstChange = null;
      return null;
    }
    if (this.#firstChange === null) this.changed(now);
    const first = this.#firstChange ?? now;
    return now - this.#lastChange >= debounceMs || now - first >= debouncesMax * debounceMs ? causes.changed : null;
  }

  /** A backup of all that had changed at `began`. */
  done(now: number, began: number): void {
    this.#lastBackup = now;
    if (this.#lastChange <= began) this.#firstChange = null;
    else if (this.#firstChange !== null) this.#firstChange = began;
  }
}

/** Waits that double, and end with what was waited for. */
export class BackOff {
  readonly #min: number;
  readonly #max: number;
  #wait = 0;
  #until = Number.NEGATIVE_INFINITY;

  /** Milliseconds. */
  constructor(min: number, max: number) {
    this.#min = min;
    this.#max = max;
  }

  failed(now: number): void {
    this.#wait = Math.min(this.#max, Math.max(this.#min, this.#wait * 2));
    this.#until = now + this.#wait;
  }

  done(): void {
    this.#wait = 0;
    this.#until = Number.NEGATIVE_INFINITY;
  }

  over(now: number): boolean {
    return now >= this.#until;
  }
}
