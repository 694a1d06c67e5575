/**
 * Takes one snapshot at a time from one peer. What has arrived outlives the connection, in the store's one partial:
 * whoever offers the very same snapshot next goes on from there. Everything that touches it happens in one lane, in order.
 */
import type { NodeId, SnapMeta, SnapshotStore, SnapshotWriter, Term } from "@aether/raft/types";
import type { InboundSocket } from "./inbound.ts";
import { decodeChunk, encodeWord, parseWord, type Chunk, type SnapshotWord } from "./snapshot-words.ts";

export interface ReceiverOptions {
  readonly store: SnapshotStore;
  /** Messages of one connection not yet worked off; a sender keeps to its window, so more is junk. */
  readonly backlogMax: number;
  readonly onInstalled: (from: NodeId, term: Term, meta: SnapMeta) => void;
  /** A snapshot could not be written or does not add up. For the log. */
  readonly onFailed: (from: NodeId, meta: SnapMeta, why: string) => void;
}

interface Stream {
  readonly socket: InboundSocket;
  readonly id: number;
  readonly term: Term;
  readonly meta: SnapMeta;
  readonly writer: SnapshotWriter;
  /** Where the next chunk belongs. */
  offset: number;
}

export class SnapshotReceiver {
  readonly #o: ReceiverOptions;
  #lane: Promise<void> = Promise.resolve();
  readonly #backlog = new Map<InboundSocket, number>();
  /** Whose chunks are being taken. */
  #stream: Stream | null = null;
  /** The latest writer; may have no stream at the moment. The store ends it by itself when the next one begins. */
  #writer: SnapshotWriter | null = null;
  #closed = false;

  constructor(o: ReceiverOptions) {
    this.#o = o;
  }

  message(socket: InboundSocket, data: Buffer, isBinary: boolean): void {
    const waiting = (this.#backlog.get(socket) ?? 0) + 1;
    if (waiting > this.#o.backlogMax) return socket.close("junk");
    this.#backlog.set(socket, waiting);
    this.#run(async () => {
      const left = (this.#backlog.get(socket) ?? 1) - 1;
      if (left > 0) this.#backlog.set(socket, left);
      else this.#backlog.delete(socket);
      if (isBinary) await this.#chunk(socket, decodeChunk(data));
      else await this.#offer(socket, parseWord(data));
    });
  }

  socketClosed(socket: InboundSocket): void {
    this.#run(async () => {
      if (this.#stream?.socket === socket) this.#stream = null;
      await Promise.resolve();
    });
  }

  /** Waits for what is being written, then lets go of the partial. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#lane;
    this.#stream = null;
    await this.#abort();
  }

  #run(step: () => Promise<void>): void {
    this.#lane = this.#lane.then(() => (this.#closed ? undefined : step()));
  }

  async #offer(socket: InboundSocket, word: SnapshotWord | null): Promise<void> {
    if (word?.t !== "offer") return socket.close("junk");
    const { stream: id, term, meta } = word;
    const say = (answer: SnapshotWord): void => void socket.send(encodeWord(answer));
    const active = this.#stream;
    // A leader of a later term has the better claim, and a sender that comes again has given up its earlier stream.
    if (active !== null && active.socket.from !== socket.from && active.term >= term) {
      return say({ t: "refuse", stream: id, why: `a snapshot from member ${active.socket.from} is on its way in` });
    }
    this.#stream = null;
    if (this.#o.store.has(meta)) return this.#installed(socket, id, term, meta);
    try {
      const writer = await this.#o.store.begin(meta);
      this.#writer = writer;
      this.#stream = { socket, id, term, meta, writer, offset: writer.offset };
      say({ t: "accept", stream: id, resumeAt: writer.offset });
    } catch (error) {
      await this.#failed(socket, id, meta, error);
    }
  }

  async #chunk(socket: InboundSocket, chunk: Chunk | null): Promise<void> {
    const stream = this.#stream;
    if (chunk === null) return socket.close("junk");
    // The rest of a stream that was refused, or that another has taken the place of.
    if (stream === null || stream.socket !== socket || stream.id !== chunk.stream) return;
    if (chunk.offset !== stream.offset) return socket.close("junk");
    const { id, term, meta, writer } = stream;
    try {
      await writer.write(chunk.offset, chunk.bytes, chunk.crc);
      stream.offset += chunk.bytes.length;
      if (chunk.eof) {
        await writer.commit();
        this.#writer = null;
        this.#stream = null;
        return this.#installed(socket, id, term, meta);
      }
      socket.send(encodeWord({ t: "ack", stream: id, offset: stream.offset }));
    } catch (error) {
      await this.#failed(socket, id, meta, error);
    }
  }

  #installed(socket: InboundSocket, stream: number, term: Term, meta: SnapMeta): void {
    this.#o.onInstalled(socket.from, term, meta);
    socket.send(encodeWord({ t: "done", stream }));
  }

  async #failed(socket: InboundSocket, stream: number, meta: SnapMeta, error: unknown): Promise<void> {
    const why = error instanceof Error ? error.message : String(error);
    this.#stream = null;
    await this.#abort();
    this.#o.onFailed(socket.from, meta, why);
    socket.send(encodeWord({ t: "refuse", stream, why: why.slice(0, 200) }));
  }

  async #abort(): Promise<void> {
    const writer = this.#writer;
    this.#writer = null;
    // A partial that cannot even be thrown away is met again, and judged, when the next one begins.
    await writer?.abort().catch(() => undefined);
  }
}
