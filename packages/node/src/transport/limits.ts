/** Every limit of the transport in one place. Milliseconds, bytes and counts as the names say. */
export interface TransportLimits {
  /** Appends and their answers waiting for one peer, in messages and in bytes (including what TLS has not sent yet). */
  readonly queueMessages: number;
  readonly queueBytes: number;
  /** Control messages (heartbeats, votes, reads) waiting for one peer; of heartbeats and votes only the newest waits. */
  readonly controlMessages: number;
  readonly controlBytes: number;
  readonly dialsAtOnce: number;
  readonly dialTimeoutMs: number;
  /** From connected to greeted. */
  readonly greetingMs: number;
  readonly pingMs: number;
  /** A connection that was silent this long, pings unanswered, is closed. */
  readonly silentMs: number;
  /** The wait before the next dial is drawn between these two. */
  readonly redialMinMs: number;
  readonly redialMaxMs: number;
  /** The least wait after a refusal: the other side will not change its mind at once. */
  readonly refusedRedialMs: number;
  /** A member's life that was not heard for so long no longer bars an earlier one. */
  readonly incarnationForgetMs: number;
  readonly inboundSockets: number;
  readonly snapshotBytesPerSecond: number;
  /** Snapshots on their way out at a time, over all peers; one per peer. */
  readonly snapshotStreams: number;
  readonly snapshotChunkBytes: number;
  /** Chunks sent and not yet durable at the receiver. */
  readonly snapshotWindow: number;
  /** How long a stream waits for its connection, or for the receiver's next word, before it is given up. */
  readonly snapshotPatienceMs: number;
  /** Broken connections in a row without a byte of progress before a stream is given up. */
  readonly snapshotTries: number;
}

export const defaultTransportLimits: TransportLimits = {
  queueMessages: 4096,
  queueBytes: 16 * 1024 * 1024,
  controlMessages: 64,
  controlBytes: 64 * 1024,
  dialsAtOnce: 8,
  dialTimeoutMs: 2_000,
  greetingMs: 2_000,
  pingMs: 1_000,
  silentMs: 3_000,
  redialMinMs: 50,
  redialMaxMs: 500,
  refusedRedialMs: 2_000,
  incarnationForgetMs: 10_000,
  inboundSockets: 256,
  snapshotBytesPerSecond: 50_000_000,
  snapshotStreams: 2,
  snapshotChunkBytes: 512 * 1024,
  snapshotWindow: 2,
  snapshotPatienceMs: 15_000,
  snapshotTries: 5,
};
