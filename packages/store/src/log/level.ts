import { Level } from "level";
import { FolderBusy } from "./errors.ts";
import type { KeyValue, Op } from "./ports.ts";

const MiB = 1024 * 1024;
const pageEntries = 64;

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && ((error as { code?: string }).code === code || hasCode(error.cause, code));

/** On Node, level is classic-level, which has this; its types leave it out. */
const destroyer = Level as unknown as { destroy(path: string): Promise<void> };

export interface FolderLock {
  release(): Promise<void>;
}

/**
 * Holds a folder for this process until released or ended, by an empty database in it: LevelDB's own lock, taken before
 * anything else is looked at. The files of a running member change all the time, and must not be judged from outside.
 * Rejects with {@link FolderBusy}.
 */
export async function lockFolder(path: string): Promise<FolderLock> {
  const open = async (): Promise<Level> => {
    const db = new Level(path);
    await db.open();
    return db;
  };
  // It holds nothing, so one that a power cut spoilt is made anew; that takes the same lock first.
  const held = await open()
    .catch(async (error: Error) => {
      if (hasCode(error, "LEVEL_LOCKED")) throw error;
      await destroyer.destroy(path);
      return open();
    })
    .catch((error: Error) => {
      throw hasCode(error, "LEVEL_LOCKED") ? new FolderBusy(path, error) : error;
    });
  return { release: () => held.close() };
}

/**
 * LevelDB as a {@link KeyValue}. Values are packed already, so it compresses nothing; the log keeps its own cache.
 * Rejects with {@link FolderBusy} when the folder is open elsewhere, and with LevelDB's error on anything else.
 * Without `create`, a folder that holds no database is an error, never an empty one.
 */
export async function openLevel(path: string, options: { readonly create: boolean }): Promise<KeyValue> {
  const db = new Level<Buffer, Buffer>(path, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
    createIfMissing: options.create,
    compression: false,
    writeBufferSize: 8 * MiB,
    maxFileSize: 8 * MiB,
    cacheSize: MiB,
  });
  try {
    await db.open();
  } catch (error) {
    throw hasCode(error, "LEVEL_LOCKED") ? new FolderBusy(path, error) : error;
  }
  return {
    batch: (ops, { sync }) => db.batch(ops as (Op & { readonly key: Buffer; readonly value: Buffer })[], { sync }),
    getSync: (key) => db.getSync(key as Buffer),
    async *pages() {
      const iterator = db.iterator({ highWaterMarkBytes: MiB, fillCache: false });
      try {
        for (let page = await iterator.nextv(pageEntries); page.length > 0; page = await iterator.nextv(pageEntries)) yield page;
      } finally {
        await iterator.close();
      }
    },
    close: () => db.close(),
  };
}
