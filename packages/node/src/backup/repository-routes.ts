/**
 * The repository as other members, and operators, fetch it: what it holds as JSON, and each pack and index as it lies on the disk.
 * Beside HttpApi, because files are streamed: GET /v1/backup/repository and GET /v1/backup/repository/:file.
 */
import { createReadStream } from "node:fs";
import type { ServerResponse } from "node:http";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { reject } from "@aether/core/kernel/command";
import { orMissing } from "@aether/store/log/folder";
import { sendProblem } from "../server/problem.ts";
import { backupFault } from "./fault.ts";
import { packName, packsFolder, type RepositoryHome } from "./repository-home.ts";

export const repositoryPath = "/v1/backup/repository";
/** Files on their way at a time. */
const transfersMax = 16;

export interface RepositoryRoutes {
  /** `file` null: the listing. Never rejects. */
  serve(home: RepositoryHome, writes: boolean, file: string | null, res: ServerResponse): Promise<void>;
}

export function makeRepositoryRoutes(): RepositoryRoutes {
  let transfers = 0;
  const serveFile = async (home: RepositoryHome, file: string, res: ServerResponse): Promise<void> => {
    if (!packName.test(file)) return sendProblem(res, reject("not_found", `${file.slice(0, 80)} is no file of a repository`, ""));
    if (transfers >= transfersMax) {
      return sendProblem(
        res,
        reject("too_many", `${transfersMax} files are being fetched from this node`, "try again in a moment"),
      );
    }
    transfers++;
    try {
      await sendFile(join(home.dir, packsFolder, file), file, res);
    } finally {
      transfers--;
    }
  };
  return {
    serve: async (home, writes, file, res) => {
      try {
        if (file !== null) return await serveFile(home, file, res);
        const body = Buffer.from(JSON.stringify(await home.listing(writes)));
        res.writeHead(200, { "content-type": "application/json", "content-length": body.length });
        res.end(body);
      } catch (error) {
        const { why, hint } = backupFault(error, home.dir);
        if (res.headersSent) res.destroy();
        else sendProblem(res, reject("not_ready", `this node's backups cannot be read: ${why}`, hint));
      }
    },
  };
}

/** An answer that breaks off is noticed by its length. */
async function sendFile(path: string, name: string, res: ServerResponse): Promise<void> {
  const handle = await open(path, "r").catch(orMissing);
  if (handle === undefined) {
    return sendProblem(res, reject("not_found", `${name} is not there: packs are made one from time to time`, "list them again"));
  }
  const { size } = await handle.stat();
  res.writeHead(200, { "content-type": "application/octet-stream", "content-length": size });
  const file = createReadStream(path, { fd: handle, end: Math.max(0, size - 1) });
  await pipeline(file, res).catch(() => res.destroy());
}
