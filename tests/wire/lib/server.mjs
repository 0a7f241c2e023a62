// server: starts a sluice on a free port of the loopback, and ends it by its pid.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const SLUICE_BIN =
  process.env.SLUICE_BIN ?? fileURLToPath(new URL('../../../build/sluice', import.meta.url))

export const IS_TSAN = fs.readFileSync(SLUICE_BIN).includes('__tsan_init')

// Where memory is measured: a build with AddressSanitizer keeps what was freed, else.
export const FREED_IS_FREE = {
  ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=1`,
}

const running = new Set()
const directories = new Set()
process.on('exit', () => {
  for (const child of running) {
    child.kill('SIGKILL')
  }
  for (const directory of directories) {
    fs.rmSync(directory, { recursive: true, force: true })
  }
})

export function temporaryDirectory() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-wire-'))
  directories.add(directory)
  return directory
}

// What only a bug prints.
const ALARMS = /AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|assertion/i

class Server {
  constructor(child) {
    this.child = child
    this.pid = child.pid
    this.stdout = ''
    this.stderr = ''
    this.exited = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        running.delete(child)
        resolve({ code, signal })
      })
    })
  }

  signal(name) {
    this.child.kill(name)
  }

  // SIGTERM, and what the end must look like.
  async stop() {
    this.signal('SIGTERM')
    const { code, signal } = await this.exited
    this.assertCalm()
    assert.equal(signal, null, `ended by a signal: ${this.stderr}`)
    assert.equal(code, 0, this.stderr)
  }

  async kill() {
    this.signal('SIGKILL')
    await this.exited
  }

  assertCalm() {
    const at = this.stderr.search(ALARMS)
    assert.ok(at < 0, `the server says: ${this.stderr.slice(Math.max(0, at - 200), at + 4000)}`)
  }

  // The resident size, for what must stay small; 0 where /proc is missing.
  residentBytes() {
    try {
      const status = fs.readFileSync(`/proc/${this.pid}/status`, 'utf8')
      return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) * 1024
    } catch {
      return 0
    }
  }
}

function spawnServer(flags, data, env) {
  const args = ['serve', '--listen', '127.0.0.1:0', '--data', data]
  for (const [flag, value] of Object.entries(flags)) {
    args.push(`--${flag}`, String(value))
  }
  const child = spawn(SLUICE_BIN, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  running.add(child)
  const server = new Server(child)
  child.stderr.setEncoding('utf8').on('data', (text) => (server.stderr += text))
  return server
}

// Resolves when it listens. With `mayFail`, also when it has ended without: `port` is then missing.
export function startServer(flags = {}, { data = ':memory:', mayFail = false, env = {} } = {}) {
  const server = spawnServer(flags, data, env)
  return new Promise((resolve, reject) => {
    server.child.stdout.setEncoding('utf8').on('data', (text) => {
      server.stdout += text
      const found = /listening on (https?):\/\/([\d.]+):(\d+)/.exec(server.stdout)
      if (found && !server.port) {
        server.scheme = found[1]
        server.port = Number(found[3])
        resolve(server)
      }
    })
    server.child.on('error', (error) => reject(new Error(`${SLUICE_BIN}: ${error.message} (set SLUICE_BIN)`)))
    server.exited.then(({ code }) => {
      if (mayFail) {
        server.code = code
        resolve(server)
      } else if (!server.port) {
        reject(new Error(`the server did not start: ${server.stderr}`))
      }
    })
  })
}

export async function withServer(flags, body, options) {
  const server = await startServer(flags, options)
  try {
    await body(server)
    await server.stop()
  } finally {
    server.child.kill('SIGKILL')
  }
}

export function selfSignedCertificate() {
  const directory = temporaryDirectory()
  const cert = path.join(directory, 'cert.pem')
  const key = path.join(directory, 'key.pem')
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  args.push('-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out', cert)
  args.push('-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  execFileSync('openssl', args, { stdio: 'ignore' })
  return { cert, key, ca: fs.readFileSync(cert) }
}
