/**
 * Signed checkpoints of the audit chain: when one is due, and the bytes that the signature is over. The leader proposes
 * them; whoever verifies a range later needs the CA's certificate and nothing from this cluster.
 */

export const checkpointEntries = 1_000;
export const checkpointMs = 60_000;

/** So many entries, or so much time, lie between two checkpoints. */
export interface CheckpointPace {
  readonly entries: number;
  readonly ms: number;
}

export interface CheckpointState {
  /** Index of the newest checkpoint's own entry, 0 for none. */
  readonly recordedAt: number;
  /** When it was recorded, or when this leader began: milliseconds of the same clock as `now`. */
  readonly since: number;
}

/**
 * Due after {@link checkpointEntries} entries, or {@link checkpointMs} after the last one if anything but that checkpoint
 * itself has been applied since.
 */
export function checkpointDue(
  last: CheckpointState,
  applied: number,
  now: number,
  pace: CheckpointPace = { entries: checkpointEntries, ms: checkpointMs },
): boolean {
  const entries = applied - last.recordedAt;
  return entries >= pace.entries || (entries > 0 && now - last.since >= pace.ms);
}

export interface CheckpointFacts {
  readonly clusterId: string;
  /** Index of the last entry that it covers. */
  readonly upTo: number;
  /** Hex, the audit chain's digest at `upTo`. */
  readonly chain: string;
  /** Hex, the digest of the world at `upTo`. */
  readonly state: string;
  /** The node that signs. */
  readonly signer: string;
}

/** The signed bytes: one fact a line under a line that names the format. */
export function checkpointStatement(f: CheckpointFacts): Uint8Array {
  const lines = ["aether checkpoint v1", f.clusterId, String(f.upTo), f.chain, f.state, f.signer];
  return new TextEncoder().encode(`${lines.join("\n")}\n`);
}
