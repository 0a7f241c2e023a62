// run: all files of this folder, two at a time, each a process of its own with a server of its own.
// Prints what failed and, as the last line, `N passed, N failed`.
//
//   SLUICE_BIN=build/sluice node tests/wire/run.mjs [NAME…]     only files whose name has a NAME in it
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const wanted = process.argv.slice(2)
const files = fs
  .readdirSync(folder)
  .filter((file) => /^test_.*\.mjs$/.test(file))
  .filter((file) => wanted.length === 0 || wanted.some((name) => file.includes(name)))

// A file that takes longer hangs, whatever it waits for. The slowest takes half a minute, sanitizers included.
const FILE_SECONDS_MAX = 300

const [major, minor] = process.versions.node.split('.').map(Number)
const hasReporters = major > 18 || (major === 18 && minor >= 15)

// The end of a TAP stream counts: "# pass 12". A file that died before that has failed as one.
function readTap(tap, code) {
  const number = (name) => Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(tap)?.[1] ?? 0)
  const failed = number('fail') + number('cancelled')
  return { passed: number('pass'), failed: failed === 0 && code !== 0 ? 1 : failed }
}

// The tests that failed, with what was said about each.
const failures = (tap) =>
  tap
    .split(/^# Subtest: /m)
    .slice(1)
    .filter((part) => /^not ok/m.test(part))

function runFile(file) {
  const started = Date.now()
  const args = hasReporters ? ['--test-reporter=tap', folder + file] : [folder + file]
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let tap = ''
    let complaints = ''
    const hangs = setTimeout(() => {
      complaints += `ended after ${FILE_SECONDS_MAX} s\n`
      child.kill('SIGTERM') // it ends its servers
      setTimeout(() => child.kill('SIGKILL'), 5000).unref()
    }, FILE_SECONDS_MAX * 1000)
    child.stdout.setEncoding('utf8').on('data', (text) => (tap += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (complaints += text))
    child.on('close', (code) => {
      clearTimeout(hangs)
      const result = readTap(tap, code)
      const seconds = ((Date.now() - started) / 1000).toFixed(1)
      const { passed, failed } = result
      console.log(`${file.padEnd(26)} ${seconds.padStart(5)} s  ${passed} passed, ${failed} failed`)
      if (failed > 0) {
        console.log(failures(tap).join('\n') || tap.slice(-4000))
        console.log(complaints)
      }
      resolve(result)
    })
  })
}

async function runAll(queue, total) {
  for (let file = queue.shift(); file; file = queue.shift()) {
    const { passed, failed } = await runFile(file)
    total.passed += passed
    total.failed += failed
  }
}

const total = { passed: 0, failed: 0 }
await Promise.all([runAll(files, total), runAll(files, total)])
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
