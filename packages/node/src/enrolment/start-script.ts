/** What runs on a new machine before aetherd does: a script of POSIX sh and a unit of systemd. */

/** From where the machine gets Node and aetherd: the URL, and the SHA-256 of the file as 64 hex digits. */
export interface Bundle {
  readonly url: string;
  readonly sha256: string;
}

const grammar = /^((?:https:\/\/|http:\/\/(?:127(?:\.\d{1,3}){3}|localhost|\[::1\])[:/])[!-"$-~]{1,1900})#sha256=([0-9a-f]{64})$/;

/** `https://HOST/NAME#sha256=HEX` taken apart; http only on loopback, where nobody stands between. Null when it is no such line. */
export function parseBundleUrl(text: string): Bundle | null {
  const [, url, sha256] = grammar.exec(text) ?? [];
  return url === undefined || sha256 === undefined ? null : { url, sha256 };
}

export const paths = {
  birth: "/etc/aether/birth.json",
  script: "/etc/aether/start.sh",
  unit: "/etc/systemd/system/aetherd.service",
  home: "/opt/aether",
  state: "/var/lib/aether",
} as const;

/** The file in {@link paths}.home that says which bundle lies there, written last. */
export const bundleMark = ".sha256";

/**
 * `start.sh` makes the user, gives it its birth file and starts the unit; the unit has `start.sh bundle` bring what is to be run, so that a
 * machine whose first start was cut short goes on at the next. Under AETHER_ROOT, for tests, all paths are below that folder and no user is
 * made. AETHER_RETRY_S: seconds between two tries to fetch.
 */
export const startScript = (bundle: Bundle | null): string => `#!/bin/sh
set -eu
umask 022
root=\${AETHER_ROOT:-}
home=$root${paths.home}
url=${quoted(bundle?.url ?? "")}
sha=${quoted(bundle?.sha256 ?? "")}

say() { echo "aether: $*" >&2; }

fetch() {
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL --connect-timeout 20 --max-time 600 -o "$1" "$url"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -T 60 -t 1 -O "$1" "$url"
  else
    python3 -c 'import shutil, sys, urllib.request as r
shutil.copyfileobj(r.urlopen(sys.argv[1], timeout=60), open(sys.argv[2], "wb"))' "$url" "$1"
  fi
}

bundle() {
  if [ -z "$url" ]; then
    [ -x "$home/bin/node" ] && [ -f "$home/aetherd.js" ] && return 0
    say "there is no bundle in $home and no bundle_url says from where"
    return 1
  fi
  [ "$(cat "$home/${bundleMark}" 2>/dev/null)" = "$sha" ] && return 0
  new=$home.new
  file=$home.tar.gz
  mkdir -p "$(dirname "$home")"
  tries=0
  until fetch "$file" && [ "$(sha256sum <"$file" | cut -c1-64)" = "$sha" ]; do
    rm -f "$file"
    tries=$((tries + 1))
    say "the bundle was not had, or has another digest than $sha (try $tries of 30)"
    [ "$tries" -lt 30 ] || return 1
    sleep "\${AETHER_RETRY_S:-10}"
  done
  rm -rf "$new"
  mkdir "$new"
  tar -xzf "$file" -C "$new" --strip-components=1 --no-same-owner
  echo "$sha" >"$new/${bundleMark}"
  find "$new" -type f -exec sync {} +
  rm -rf "$home"
  mv "$new" "$home"
  rm -f "$file"
}

if [ "\${1:-}" = bundle ]; then
  bundle
  exit
fi
if [ -z "$root" ]; then
  id aether >/dev/null 2>&1 || useradd --system --home-dir ${paths.state} --shell /usr/sbin/nologin aether
  chown aether "$root${paths.birth}"
fi
systemctl daemon-reload
systemctl enable aetherd.service
systemctl start --no-block aetherd.service
`;

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Exit codes 2, 72 and 74 are for people (exit-codes.ts): starting again changes nothing. */
export const unit = (nodeOptions: readonly string[]): string => `[Unit]
Description=Aether node
Wants=network-online.target
After=network-online.target

[Service]
User=aether
ExecStartPre=+/bin/sh ${paths.script} bundle
ExecStart=${[`${paths.home}/bin/node`, ...nodeOptions, `${paths.home}/aetherd.js`, "--birth", paths.birth].join(" ")}
StateDirectory=aether
StateDirectoryMode=0700
TimeoutStartSec=3h
TimeoutStopSec=30
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2 72 74
LimitNOFILE=65536
NoNewPrivileges=yes
ProtectSystem=full
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
`;
