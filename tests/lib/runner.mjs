// Runs tests one after the other and says how it went: a line for each, and `N passed, N failed` at the
// end. A test is `{ name, run(t) }`. What it starts it hands to `t.after`, which ends it in the opposite
// order, also after a failure.

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'

/** A generator of numbers that repeats itself for the same seed (mulberry32). */
export const makeRandom = (seed) => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  return {
    /** From 0, less than 1. */
    next,
    /** A whole number from `low` to `high`, both included. */
    integer: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (array) => array[Math.floor(next() * array.length)],
    chance: (probability) => next() < probability,
  }
}

/** Waits until `probe` answers something truthy, and resolves to that. */
export const until = async (what, probe, { timeoutMs = 20_000, pollMs = 10 } = {}) => {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await probe()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await delay(pollMs)
  }
}

/** Resolves with `promise`, or rejects when that takes longer than `timeoutMs`. */
export const within = (timeoutMs, what, promise) => {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${timeoutMs} ms: ${what}`)), timeoutMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

class Context {
  #ends = []

  constructor({ rounds, seed, timeoutMs }) {
    Object.assign(this, { rounds, seed, timeoutMs, random: makeRandom(seed) })
  }

  after(end) {
    this.#ends.push(end)
  }

  /** A line about what the test has done so far. */
  say(text) {
    console.log(`     ${text}`)
  }

  async end() {
    const failures = []
    for (const end of this.#ends.reverse()) {
      try {
        await end()
      } catch (error) {
        failures.push(error)
      }
    }
    return failures
  }
}

const runOne = async (test, options) => {
  const t = new Context({ ...options, timeoutMs: options.timeoutMs ?? test.timeoutMs ?? 180_000 })
  const failures = []
  try {
    await within(t.timeoutMs, `the end of the test`, test.run(t))
  } catch (error) {
    failures.push(error)
  }
  failures.push(...(await t.end()))
  return failures
}

/**
 * Runs what the command line asks for: `--only TEXT` (a part of the name), `--rounds N` (how long the
 * tests that go in rounds take), `--seed N` (to have the same random numbers again). `atOnce` tests run
 * at the same time: for those that mostly wait.
 */
export const runTests = async (tests, { slowness = 1, atOnce = 1 } = {}) => {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, rounds: { type: 'string' }, seed: { type: 'string' } },
  })
  const seed = values.seed === undefined ? Date.now() >>> 0 : Number(values.seed)
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
  const chosen = tests.filter(({ name }) => name.includes(values.only ?? ''))
  console.log(`seed ${seed}`)
  process.on('exit', (code) => {
    if (code === 13) console.log('FAIL: nothing is left that the test could wait for')
  })
  let failed = 0
  const waiting = [...chosen]
  const work = async () => {
    for (let test = waiting.shift(); test !== undefined; test = waiting.shift()) {
      const start = performance.now()
      const timeoutMs = rounds === undefined ? (test.timeoutMs ?? 180_000) * slowness : 2 ** 31 - 1
      const failures = await runOne(test, { rounds, seed, timeoutMs })
      const seconds = ((performance.now() - start) / 1000).toFixed(1)
      console.log(`${failures.length === 0 ? 'ok  ' : 'FAIL'} ${test.name} (${seconds} s)`)
      for (const failure of failures) console.log(String(failure?.stack ?? failure).replace(/^/gm, '     '))
      if (failures.length > 0) failed++
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  console.log(`${chosen.length - failed} passed, ${failed} failed`)
  process.exit(failed === 0 && chosen.length > 0 ? 0 : 1)
}
