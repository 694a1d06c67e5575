/**
 * A LevelDB table file: data blocks, a filter, a meta index that names it, an index that names every data block, and a footer that names the two
 * indexes. Each block is followed by its compression type and a masked CRC-32C, which LevelDB itself checks only on request.
 */
import { maskedCrc } from "./crc32c.ts";
import { VarintReader } from "./varint.ts";

const footerBytes = 48;
const magic = Buffer.from("57fb808b247547db", "hex");
const trailerBytes = 5;

/** What is wrong with a table, or undefined. Every byte up to the footer must belong to a block whose CRC holds. */
export function tableFault(file: Buffer): string | undefined {
  try {
    return inspect(file);
  } catch (error) {
    return `its structure is altered: ${(error as Error).message}`;
  }
}

function inspect(file: Buffer): string | undefined {
  if (file.length < footerBytes || !file.subarray(-magic.length).equals(magic)) return "its end is not that of a table";
  const footer = new VarintReader(file.subarray(-footerBytes, -magic.length));
  const metaIndex: Span = { offset: footer.number(), size: footer.number() };
  const index: Span = { offset: footer.number(), size: footer.number() };
  if (footer.rest().some((byte) => byte !== 0)) return "its footer is altered";
  for (const span of [metaIndex, index]) if (!holds(file, span)) return `its index at byte ${span.offset} is altered`;
  let next = 0;
  // The meta index names the filter, which lies after the data.
  for (const span of [...spansOf(file, index), ...spansOf(file, metaIndex), metaIndex, index]) {
    if (span.offset !== next) return `bytes ${next} to ${span.offset} belong to no block`;
    if (!holds(file, span)) return `the block at byte ${span.offset} is altered`;
    next = span.offset + span.size + trailerBytes;
  }
  return next + footerBytes === file.length ? undefined : "bytes before its footer belong to no block";
}

interface Span {
  readonly offset: number;
  readonly size: number;
}

function holds(file: Buffer, { offset, size }: Span): boolean {
  const end = offset + size + 1;
  return end + 4 <= file.length && file.readUInt32LE(end) === maskedCrc(file, offset, end);
}

/** The values of an index: where each block lies. Its entries come before an array of restart points and their count. */
function spansOf(file: Buffer, { offset, size }: Span): Span[] {
  const block = file.subarray(offset, offset + size);
  const restarts = block.readUInt32LE(block.length - 4);
  const entries = new VarintReader(block.subarray(0, block.length - 4 - restarts * 4));
  const spans: Span[] = [];
  while (!entries.done) {
    entries.number();
    const keyBytes = entries.number();
    const valueBytes = entries.number();
    entries.take(keyBytes);
    const value = new VarintReader(entries.take(valueBytes));
    spans.push({ offset: value.number(), size: value.number() });
  }
  return spans;
}
