/** Writes many settings at once, as the operator of the current context; for process tests. */
import { openStreamClient } from "@aether/node/client/stream-client";
import { clientTls } from "@aether/node/identity/tls";
import { readFileSync } from "node:fs";
import { readContexts } from "../context/contexts.ts";

/** `many.0` to `many.<count - 1>`, each with two kilobytes as value that begin with `salt`. Rejects when one is refused. */
export async function writeMany(home: string, count: number, salt: string): Promise<void> {
  const { contexts, current } = await readContexts(home);
  const context = contexts.find(({ name }) => name === current);
  if (context === undefined) throw new Error("there is no current context");
  const [ca, certificate, key] = [context.ca, context.certificate, context.key].map((path) => readFileSync(path, "utf8"));
  const tls = clientTls({ ca: ca ?? "", certificate: certificate ?? "", key: key ?? "" }, { clusterId: context.cluster.id });
  const client = openStreamClient({ endpoints: context.endpoints, tls, deadlineMs: 60_000 });
  const one = (at: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const command = { type: "SetSetting", id: `many.${at}`, value: `${salt} ${at} `.padEnd(2_000, ".") };
      client.submit(command, `${salt}-${at}`, (answer) => {
        if (answer.ok) resolve();
        else reject(new Error(`many.${at}: ${answer.rejection.message}`));
      });
    });
  try {
    for (let from = 0; from < count; from += 250) {
      await Promise.all(Array.from({ length: Math.min(250, count - from) }, (_, at) => one(from + at)));
    }
  } finally {
    client.close();
  }
}
