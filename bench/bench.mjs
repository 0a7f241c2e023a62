// What bench/run prints: see docs/performance.md. Each row is measured in rounds, in each of which Sluice,
// the reference and the limit take turns; a ratio is one round's, and shown are the medians.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import './lib/servers.mjs'
import { linesOf, tableHead, tableLine } from './lib/table.mjs'
import { fanoutRows } from './rows/fanout.mjs'
import { growthRows } from './rows/growth.mjs'
import { insideRows } from './rows/inside.mjs'
import { pullRows } from './rows/pull.mjs'
import { pushRows } from './rows/push.mjs'
import { tlsRows } from './rows/tls.mjs'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    full: { type: 'boolean', default: process.env.BENCH_FULL === '1' },
    only: { type: 'string', default: '' },
    rounds: { type: 'string' },
    'no-reference': { type: 'boolean', default: false },
    write: { type: 'boolean', default: false }, // the table into docs/performance.md
  },
})
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3))
const setup = { quick: values.quick, full: values.full, seconds: values.quick ? 1 : 3 }
const words = values.only.split(',').filter((word) => word !== '')

const rows = [pushRows, pullRows, fanoutRows, growthRows, insideRows, tlsRows]
  .flatMap((make) => make(setup))
  .filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))

/** Runs the contenders of a row in turns. A contender that fails says so in its cell and is left out then. */
const measure = async (row) => {
  const results = {}
  for (let round = 0; round < (row.rounds ?? rounds); round++) {
    for (const [contender, run] of Object.entries(row.contenders)) {
      if (contender === 'reference' && values['no-reference']) continue
      const all = (results[contender] ??= [])
      if (typeof all[0] === 'string') continue
      try {
        all.push(await run(results.sluice?.at(-1)))
      } catch (error) {
        if (contender === 'sluice') throw error
        all.push(`fails: ${error.message.slice(0, 60)}`)
      }
    }
  }
  return results
}

const run = (command, ...args) => {
  try {
    return execFileSync(command, args, { encoding: 'utf8' }).trim()
  } catch {
    return '?'
  }
}
const loadAverage = () => readFileSync('/proc/loadavg', 'utf8').split(' ')[0]
const machine = [
  `${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${run('uname', '-r')}`,
  `SQLite ${run('sqlite3', '--version').split(' ')[0]}, Node ${process.versions.node}, commit ${run('git', 'rev-parse', '--short', 'HEAD')}`,
  `rounds: ${rounds}, of ${setup.seconds} s; load average at the start ${loadAverage()}`,
]

const lines = [...machine.map((line) => `- ${line}`), '', tableHead()]
console.log(lines.join('\n'))
for (const row of rows) {
  for (const line of linesOf(row, await measure(row)).map(tableLine)) {
    console.log(line)
    lines.push(line)
  }
}
const end = `\nload average at the end ${loadAverage()}. ✗: what was aimed at is missed. busy: that one's load generator had 90 % or more of a processor.`
console.log(end)

/** Between its marks in docs/performance.md; without the spaces that make the table even on a screen. */
const writeToDocs = () => {
  const page = fileURLToPath(new URL('../docs/performance.md', import.meta.url))
  const narrow = [...lines, end].map((line) => line.replace(/ {2,}\|/g, ' |').replace(/-{3,}/g, '---')).join('\n')
  const [before, rest] = readFileSync(page, 'utf8').split('<!-- begin: make bench -->\n')
  const after = rest.slice(rest.indexOf('<!-- end: make bench -->'))
  writeFileSync(page, `${before}<!-- begin: make bench -->\n${narrow}\n${after}`)
}
if (values.write) writeToDocs()
process.exit(0)
