/** Other members' repositories, over their HTTPS: what a mirror reads. Bounded in time and size; whatever goes wrong rejects. */
import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import * as Schema from "effect/Schema";
import type { ClientTlsOptions } from "../identity/tls.ts";
import { splitAddress } from "../member/peer-http.ts";
import { filesMax, type MirrorSource } from "./mirror.ts";
import { repositoryPath } from "./repository-routes.ts";

const Listing = Schema.Struct({
  head: Schema.NullOr(Schema.String),
  shallow: Schema.String,
  files: Schema.Array(Schema.Struct({ name: Schema.String, bytes: Schema.Number })).check(Schema.isMaxLength(filesMax)),
  writes: Schema.Boolean,
});
const decode = Schema.decodeUnknownSync(Listing);

const listingMs = 2_000;
/** Silence in the middle of a file. */
const idleMs = 10_000;
const listingBytesMax = 1024 * 1024;
const connectionsMax = 2;

export interface PeerRepositories {
  /** `address` as the member advertises it. */
  at(address: string): MirrorSource;
  close(): void;
}

/** `dialAt` says where an address is dialled. */
export function makePeerRepositories(tls: ClientTlsOptions, dialAt: (address: string) => string): PeerRepositories {
  const agent = new Agent({ ...tls, keepAlive: true, maxSockets: connectionsMax, maxCachedSessions: 0 });
  const get = (address: string, path: string, timeoutMs: number): Promise<IncomingMessage> =>
    new Promise((resolve, fail) => {
      const { host, port } = splitAddress(dialAt(address));
      const req = request({ agent, host, port, method: "GET", path, timeout: timeoutMs }, (res) => {
        if (res.statusCode === 200) return resolve(res);
        res.resume();
        fail(new Error(`${address} answered ${path} with ${res.statusCode}`));
      });
      req.on("timeout", () => req.destroy(new Error(`${address} has been silent for ${timeoutMs} ms`)));
      req.on("error", fail);
      req.end();
    });
  return {
    at: (address) => ({
      listing: async () => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        for await (const chunk of await get(address, repositoryPath, listingMs)) {
          bytes += (chunk as Buffer).length;
          if (bytes > listingBytesMax) throw new Error(`the listing of ${address} is longer than ${listingBytesMax} bytes`);
          chunks.push(chunk as Buffer);
        }
        return decode(JSON.parse(Buffer.concat(chunks).toString("utf8")));
      },
      read: async function* (name) {
        yield* (await get(address, `${repositoryPath}/${name}`, idleMs)) as AsyncIterable<Buffer>;
      },
    }),
    close: () => agent.destroy(),
  };
}
