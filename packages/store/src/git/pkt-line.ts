/** Git's lines on the wire: four hex digits of length, themselves included, then that many bytes less four; `0000` ends a list. */

const digits = 4;
/** What git sends at most in one line. */
const lineMax = 65_520;

/** What comes is not what git speaks. */
export class ProtocolFault extends Error {
  override readonly name = "ProtocolFault";
}

export const flush = "0000";

/** One line; its text ends as it is given. */
export const pktLine = (text: string): string =>
  `${(Buffer.byteLength(text) + digits).toString(16).padStart(digits, "0")}${text}`;

/** Lines out of pieces of any size. */
export class PktReader {
  private readonly pieces: AsyncIterator<Uint8Array>;
  private held: Buffer = Buffer.alloc(0);

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.pieces = pieces[Symbol.asyncIterator]();
  }

  /** The next line's bytes, null for the end of a list, undefined at the end of all. Rejects with {@link ProtocolFault}. */
  async next(): Promise<Buffer | null | undefined> {
    const head = await this.take(digits);
    if (head === undefined) return undefined;
    const text = head.toString("latin1");
    const length = /^[0-9a-f]{4}$/i.test(text) ? Number.parseInt(text, 16) : Number.NaN;
    if (length === 0) return null;
    if (!(length >= digits && length <= lineMax)) throw new ProtocolFault("what the remote sends is not git's protocol");
    const line = await this.take(length - digits);
    if (line === undefined) throw new ProtocolFault("the remote's answer ends in the middle of a line");
    return line;
  }

  /** All that was not taken as a line. */
  async *rest(): AsyncIterable<Uint8Array> {
    const { held } = this;
    this.held = Buffer.alloc(0);
    if (held.length > 0) yield held;
    for (let next = await this.pieces.next(); next.done !== true; next = await this.pieces.next()) yield next.value;
  }

  /** Undefined when nothing follows. */
  private async take(bytes: number): Promise<Buffer | undefined> {
    if (bytes === 0) return Buffer.alloc(0);
    const parts = [this.held];
    let length = this.held.length;
    while (length < bytes) {
      const { done = false, value } = await this.pieces.next();
      if (done) {
        if (length === 0) return undefined;
        throw new ProtocolFault("the remote's answer ends in the middle of a line");
      }
      parts.push(Buffer.from(value as Uint8Array));
      length += (value as Uint8Array).length;
    }
    const all = parts.length === 1 ? this.held : Buffer.concat(parts);
    this.held = all.subarray(bytes);
    return all.subarray(0, bytes);
  }
}

/** What the first list says that a server sends when asked for its branches. */
export interface Advertisement {
  readonly refs: ReadonlyMap<string, string>;
  readonly capabilities: ReadonlySet<string>;
  /** Commits at which the remote's history was cut. */
  readonly shallow: readonly string[];
}

/** A server has no more branches and tags than that, or it is not one for backups. */
const refsMax = 100_000;

/** `service`: `git-receive-pack` or `git-upload-pack`. Rejects with {@link ProtocolFault}. */
export async function readAdvertisement(pieces: AsyncIterable<Uint8Array>, service: string): Promise<Advertisement> {
  const lines = new PktReader(pieces);
  const first = await lines.next();
  if (first?.toString().trimEnd() !== `# service=${service}` || (await lines.next()) !== null)
    throw new ProtocolFault(`the remote does not speak of ${service}: it is no git server, or an old one`);
  const refs = new Map<string, string>();
  const shallow: string[] = [];
  let capabilities: readonly string[] = [];
  for (let line = await lines.next(); line !== null; line = await lines.next()) {
    if (line === undefined) throw new ProtocolFault("the remote's list of branches has no end");
    const [text = "", more] = line.toString().trimEnd().split("\0");
    if (more !== undefined) capabilities = more.split(" ");
    const found = /^(?:(shallow) ([0-9a-f]{40})|([0-9a-f]{40}) (.+))$/.exec(text);
    if (found === null)
      throw new ProtocolFault("the remote's list of branches is not git's, or of another kind of name than SHA-1");
    const [, isShallow, cut = "", oid = "", ref = ""] = found;
    if (isShallow !== undefined) shallow.push(cut);
    else if (ref !== "capabilities^{}") refs.set(ref, oid);
    if (refs.size + shallow.length > refsMax) throw new ProtocolFault(`the remote has more than ${refsMax} branches and tags`);
  }
  return { refs, capabilities: new Set(capabilities), shallow };
}
