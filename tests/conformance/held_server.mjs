// A server whose listening socket outlives it, as a service manager keeps it (LISTEN_FDS): clients of a
// server that restarts wait in its queue instead of being refused.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'

import { atEnd, sluiceBinary, temporaryDirectory, until } from './harness.mjs'

// A shell keeps the socket, because this process cannot without accepting from it. Each line that it reads
// starts a server.
const keeperScript = `
while read -r _; do
  sh -c 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"' sh "$@" &
  echo "started $!"
  wait $!
  echo "ended $?"
done`

class HeldServer {
  #output = ''

  constructor(keeper, port) {
    this.keeper = keeper
    this.port = port
    this.url = `http://127.0.0.1:${port}`
    this.webSocketUrl = `ws://127.0.0.1:${port}`
    keeper.stdout.setEncoding('utf8').on('data', (text) => (this.#output += text))
    keeper.stderr.setEncoding('utf8').on('data', (text) => (this.#output += text))
  }

  #said(pattern) {
    return until(`the server says ${pattern}`, () => pattern.exec(this.#output), {
      timeoutMs: 20_000,
      explain: () => this.#output,
    })
  }

  async start() {
    this.#output = ''
    this.keeper.stdin.write('start\n')
    await this.#said(/listening on \S+:\d+\n/)
    this.pid = Number((await this.#said(/started (\d+)/))[1])
  }

  /** Asks the server to stop, and waits for its end, which must be in order. */
  async stop() {
    process.kill(this.pid, 'SIGTERM')
    const [, code] = await this.#said(/ended (\d+)/)
    this.pid = undefined
    if (code !== '0') throw new Error(`the server ended with ${code}:\n${this.#output}`)
  }

  async end() {
    try {
      if (this.pid !== undefined) await this.stop()
    } finally {
      if (this.pid !== undefined) process.kill(this.pid, 'SIGKILL')
      this.keeper.stdin.end()
    }
  }
}

export const startHeldServer = async (t) => {
  const directory = await temporaryDirectory(t)
  const listener = net.createServer().listen(0, '127.0.0.1', 1024)
  await once(listener, 'listening')
  const { port } = listener.address()
  const keeper = spawn('sh', ['-c', keeperScript, 'sh', sluiceBinary, 'serve', '--data', directory], {
    stdio: ['pipe', 'pipe', 'pipe', listener._handle.fd],
  })
  listener.close() // the shell has it now
  const server = new HeldServer(keeper, port)
  atEnd(t, () => server.end())
  await server.start()
  return server
}
