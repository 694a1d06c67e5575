/** A daemon that only listens, for tests of providers: `--config FILE` with `{address, deaf?}`; `deaf` ignores SIGTERM. */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const [flag, file] = process.argv.slice(2);
if (flag !== "--config" || file === undefined) throw new Error("usage: idle-daemon --config FILE");
const { address, deaf } = JSON.parse(readFileSync(file, "utf8")) as { address: string; deaf?: boolean };
const [host, port] = address.split(":");

const server = createServer();
server.listen({ host, port: Number(port) }, () => console.log(`listening on ${address} as ${process.pid}`));
process.on("SIGTERM", () => {
  if (deaf !== true) process.exit(0);
});
