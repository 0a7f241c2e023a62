// The C program tests/client/driver.c in a test's hands: commands go in, lines of JSON come out.

import { spawn } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { until } from '../../lib/runner.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const buildFolder = path.resolve(process.env.SLUICE_BUILD ?? path.join(here, '../../../build'))
export const driverBinary = path.join(buildFolder, 'tests/client/client_driver')
export const sluiceBinary = path.join(buildFolder, 'sluice')

// So that a test does not wait for the sake of waiting. What is about time sets its own.
const quick = { backoff_base_ms: 5, backoff_cap_ms: 40, poll_interval_ms: 50 }

class Driver {
  /** Everything that it said, in order. */
  lines = []
  #errors = ''
  #rest = ''
  #endIsExpected = false

  constructor(child) {
    this.child = child
    child.stderr.setEncoding('utf8').on('data', (text) => (this.#errors += text))
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const parts = (this.#rest + text).split('\n')
      this.#rest = parts.pop()
      this.lines.push(...parts.map((line) => JSON.parse(line)))
    })
    child.stdin.on('error', () => {})
    this.ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })))
  }

  do(command) {
    this.child.stdin.write(`${command}\n`)
  }

  all(what, fits = () => true) {
    return this.lines.filter((line) => line.what === what && fits(line))
  }

  /** Waits for the `nth` line of a kind. */
  async told(what, { nth = 1, fits, timeoutMs = 30_000 } = {}) {
    const isThere = () => this.all(what, fits).length >= nth || this.child.exitCode !== null
    await this.until(`the driver tells '${what}' ${nth} times`, isThere, { timeoutMs })
    const line = this.all(what, fits)[nth - 1]
    if (line === undefined) throw new Error(`the driver has ended and did not tell '${what}':\n${this.tail()}`)
    return line
  }

  /** As `until`; says what the driver told when it was in vain. */
  async until(what, probe, options) {
    try {
      return await until(what, probe, { timeoutMs: 30_000, ...options })
    } catch (error) {
      throw new Error(`${error.message}; it told:\n${this.tail()}`)
    }
  }

  /** The events that a pull, or the outbox, has brought. */
  events(pull) {
    return this.lines
      .filter((line) => (pull === undefined ? line.what === 'advanced' : line.what === 'page' && line.pull === pull))
      .flatMap((line) => line.events)
  }

  tail() {
    return [...this.lines.slice(-30).map((line) => JSON.stringify(line).slice(0, 300)), this.#errors].join('\n')
  }

  /** As a crash. */
  kill() {
    this.#endIsExpected = true
    this.child.kill('SIGKILL')
    return this.ended
  }

  /** Ends it in order, and looks at how it ended: that is where a sanitizer speaks. */
  async end() {
    this.child.stdin.end()
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 20_000)
    const { code, signal } = await this.ended
    clearTimeout(timer)
    if (this.#endIsExpected) return
    if (code !== 0 || this.#errors !== '') throw new Error(`the driver ended with ${code ?? signal}:\n${this.tail()}`)
  }
}

/** Starts a client; `options` are those of sluice_client_options, by their names. */
export const startDriver = async (t, url, store, options = {}) => {
  const words = Object.entries({ ...quick, ...options }).map(([name, value]) => `${name}=${value}`)
  const child = spawn(driverBinary, [url, store, ...words], { stdio: 'pipe' })
  const driver = new Driver(child)
  t.after(() => driver.end())
  await driver.told('created')
  return driver
}

/** Runs the command line to its end. */
export const runSluice = (words, { input = '' } = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(sluiceBinary, words, { stdio: 'pipe' })
    const result = { output: '', errors: '' }
    child.stdout.setEncoding('utf8').on('data', (text) => (result.output += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (result.errors += text))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ ...result, code, signal }))
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })

/** Throws unless these are the events 1..count, each once, in order, of one chain. */
export const checkEvents = (events, count) => {
  const numbers = events.map(({ seqNum }) => seqNum)
  const wanted = Array.from({ length: count }, (_, i) => i + 1)
  if (JSON.stringify(numbers) !== JSON.stringify(wanted)) {
    throw new Error(`wanted events 1..${count}, got ${JSON.stringify(numbers)}`)
  }
  events.forEach(({ seqNum, parentSeqNum, args }) => {
    if (parentSeqNum !== seqNum - 1) throw new Error(`event ${seqNum} has the parent ${parentSeqNum}`)
    if (args?.n !== seqNum) throw new Error(`event ${seqNum} has the args ${JSON.stringify(args)?.slice(0, 100)}`)
  })
}
