/** From a context to an open connection: flags, environment and files in their order of precedence. */
import { readFile } from "node:fs/promises";
import { exit, Failure } from "../shell/failure.ts";
import type { Invocation } from "../shell/command.ts";
import type { Shell } from "../shell/shell.ts";
import type { Api } from "./api.ts";
import { chooseContext, readContexts, type Context } from "./contexts.ts";
import { openHttpsApi, type Credentials } from "./https-api.ts";

export interface Connection {
  readonly context: Context;
  /** Over the endpoints, the first that answers. */
  readonly api: Api;
  /** This member and no other. */
  member(address: string): Api;
  close(): void;
}

/** Opens what the command line means. Nothing is sent yet; a missing or unreadable certificate is found here. */
export async function connect(call: Invocation, shell: Shell): Promise<Connection> {
  return connectContext(await contextOf(call, shell));
}

/** The context that the command line means, with --endpoint in place of its own endpoints. */
export async function contextOf(call: Invocation, shell: Shell): Promise<Context> {
  const context = chooseContext(await readContexts(shell.home), call.text("context"), shell.env["AETHER_CONTEXT"]);
  const endpoint = call.text("endpoint");
  if (endpoint === undefined) return context;
  if (!/^[^\s:/]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/.test(endpoint)) {
    throw new Failure(exit.usage, `--endpoint ${endpoint} is not HOST:PORT`, "for example --endpoint 127.0.0.1:7401");
  }
  return { ...context, endpoints: [endpoint] };
}

export async function connectContext(context: Context): Promise<Connection> {
  const credentials = await readCredentials(context);
  const opened: Api[] = [];
  const open = (endpoints: readonly string[]): Api => {
    const api = openHttpsApi(endpoints, credentials);
    opened.push(api);
    return api;
  };
  return {
    context,
    api: open(context.endpoints),
    member: (address) => open([address]),
    close: () => {
      for (const api of opened) api.close();
    },
  };
}

async function readCredentials(context: Context): Promise<Credentials> {
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const hint = "a context needs the CA, a certificate and its key; an AETHER_HOME that was moved has to be moved back";
      throw new Failure(exit.failed, `context ${context.name}: ${why}`, hint);
    }
  };
  return {
    clusterId: context.cluster.id,
    ca: await read(context.ca),
    certificate: await read(context.certificate),
    key: await read(context.key),
  };
}
