/** Where things are on the operator's machine; docs/internals/contracts.md is the contract. */
import { join } from "node:path";

export interface ClusterFolder {
  readonly root: string;
  readonly journal: string;
  readonly secret: string;
  /** Of the backups' remote, mode 0600. */
  readonly backupToken: string;
  readonly lock: string;
  readonly pki: string;
  readonly registry: string;
  readonly nodes: string;
}

export const contextsFile = (home: string): string => join(home, "config.toml");
export const clustersFolder = (home: string): string => join(home, "clusters");
/** Files of `${secrets:path}` references, one a secret. */
export const secretsFolder = (home: string): string => join(home, "secrets");

/** `dataDir` is the cluster file's `[local] data_dir`: where the nodes' folders are kept instead. */
export function clusterFolder(home: string, name: string, dataDir: string | null = null): ClusterFolder {
  const root = join(clustersFolder(home), name);
  return {
    root,
    journal: join(root, "bootstrap.json"),
    secret: join(root, "secret"),
    backupToken: join(root, "backup-token"),
    lock: join(root, "lock"),
    pki: join(root, "pki"),
    registry: join(root, "instances"),
    nodes: dataDir ?? join(root, "nodes"),
  };
}
