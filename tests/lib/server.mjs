// A Sluice server of a test's own: on 127.0.0.1, port 0, with a data directory of its own. It ends with
// its test, by its pid; what it printed is looked at then, because a sanitizer's report is a failure
// wherever it appears.

import { spawn } from 'node:child_process'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { httpRequest } from './sync_cf.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
export const sluiceBinary = path.resolve(process.env.SLUICE_BIN ?? path.join(here, '../../build/sluice'))

const reportPatterns = [
  /assertion failed/,
  /runtime error:/,
  /(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer/,
]

/** The sanitizer that the binary was built with, or undefined. */
export const sanitizer = (() => {
  const text = readFileSync(sluiceBinary)
  if (text.includes('__tsan_init')) return 'thread'
  if (text.includes('__asan_init')) return 'address'
  return undefined
})()

/** How much longer things take with a sanitizer. */
export const slowness = sanitizer === undefined ? 1 : 5

/** Freed memory is given back soon: tests look at how much the server holds. */
const sanitizerOptions = {
  ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=4:allocator_release_to_os_interval_ms=100`,
  UBSAN_OPTIONS: `${process.env.UBSAN_OPTIONS ?? ''}:print_stacktrace=1`,
}

export const makeDirectory = async (t) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'sluice-test-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

const alive = new Set()
process.on('exit', () => {
  for (const server of alive) server.kill('SIGKILL')
})

class Server {
  output = ''
  errors = ''
  hasEnded = false
  #endIsExpected = false

  constructor(child, data) {
    this.child = child
    this.pid = child.pid
    this.data = data
    alive.add(this)
    child.stdout?.setEncoding('utf8').on('data', (text) => (this.output += text))
    child.stderr?.setEncoding('utf8').on('data', (text) => (this.errors += text))
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', () => {
        this.hasEnded = true
        alive.delete(this)
      })
      child.on('close', (code, signal) => resolve({ code, signal }))
    })
  }

  /** Resolves once it listens; rejects with what it said when it ends before. */
  async listening() {
    await new Promise((resolve, reject) => {
      const look = () => {
        if (/listening on \S+:\d+\n/.test(this.output)) resolve()
      }
      this.child.stdout.on('data', look)
      void this.ended.then(({ code, signal }) =>
        reject(new Error(`sluice ended before it listened (${code ?? signal}): ${this.errors}`)),
      )
      look()
    })
    this.port = Number(/listening on \S+:(\d+)\n/.exec(this.output)[1])
    return this
  }

  get(urlPath) {
    return httpRequest({ port: this.port, path: urlPath })
  }

  /** Sends a signal at once, while this turn of the test's own loop lasts. */
  kill(signal = 'SIGKILL') {
    if (this.hasEnded) return
    this.#endIsExpected = true
    this.child.kill(signal)
  }

  /** Asks it to stop; resolves to `{ code, signal }`. */
  async stop() {
    this.kill('SIGTERM')
    return this.ended
  }

  /** It may end by itself: the test looks at how. */
  expectEnd() {
    this.#endIsExpected = true
  }

  residentBytes() {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))[1]) * 1024
  }

  /** Open descriptors of any kind. */
  descriptors() {
    return readdirSync(`/proc/${this.pid}/fd`).length
  }

  /** Sockets: connections, and the one that listens. */
  sockets() {
    const folder = `/proc/${this.pid}/fd`
    const isSocket = (name) => {
      try {
        return readlinkSync(path.join(folder, name)).startsWith('socket:')
      } catch {
        return false // closed since it was listed
      }
    }
    return readdirSync(folder).filter(isSocket).length
  }

  /** Throws when it ended by itself, or said something that it must never say. */
  check() {
    const report = reportPatterns.find((pattern) => pattern.test(this.errors))
    if (report !== undefined) throw new Error(`the server reported:\n${this.errors}`)
    if (this.hasEnded && !this.#endIsExpected) throw new Error(`the server ended by itself:\n${this.errors}`)
  }

  /** Ends it, whatever it does, and checks it. With the sanitizers it goes by itself: that finds leaks. */
  async dispose() {
    this.kill(sanitizer === undefined ? 'SIGKILL' : 'SIGTERM')
    const timer = setTimeout(() => this.kill('SIGKILL'), 12_000)
    await this.ended
    clearTimeout(timer)
    this.check()
  }
}

/**
 * Starts a server and does not wait. `wrap` is a command that ends in running its arguments, in the same
 * process (prlimit, setpriv).
 */
export const spawnServer = (t, { data, flags = [], wrap = [], env = {} }) => {
  const command = [...wrap, sluiceBinary, 'serve', '--listen', '127.0.0.1:0', '--data', data, ...flags]
  const child = spawn(command[0], command.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...sanitizerOptions, ...env },
  })
  const server = new Server(child, data)
  t.after(() => server.dispose())
  return server
}

/** Starts a server; resolves once it listens. */
export const startServer = (t, options) => spawnServer(t, options).listening()
