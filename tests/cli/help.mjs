// Help, man page, completion and docs name the same verbs and flags.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { sluiceBinary } from '../lib/server.mjs'
import { sluice } from './program.mjs'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const text = (name) => readFile(path.join(root, name), 'utf8')

const listVerbs = async (t) => [...(await sluice(t, ['--help'])).output.matchAll(/^ {2}([a-z]+) /gm)].map(([, verb]) => verb)

const listFlags = async (t, verb) =>
  [...(await sluice(t, [verb, '--help'])).output.matchAll(/^ {2}(--[a-z0-9-]+)/gm)].map(([, flag]) => flag)

/** What bash offers for a line, whose last word is being typed. */
const complete = (line) => {
  const words = line.split(' ')
  const script = `. '${root}/completions/sluice'
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`
  const args = ['-c', script, 'bash', sluiceBinary, ...words]
  return execFileSync('bash', args, { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean)
}

const clientVerbs = ['ping', 'push', 'pull', 'tail', 'head']

export const tests = [
  {
    name: 'every verb tells what it takes',
    async run(t) {
      const verbs = await listVerbs(t)
      for (const verb of ['serve', ...clientVerbs]) assert.ok(verbs.includes(verb), verb)
      for (const verb of verbs) {
        const { code, output, errors } = await sluice(t, [verb, '--help'])
        assert.deepEqual([code, errors], [0, ''])
        assert.match(output, new RegExp(`^usage: sluice ${verb} `))
      }
      assert.match((await sluice(t, ['--version'])).output, /^sluice \d+\.\d+\.\d+\n$/)
    },
  },
  {
    name: 'the man page and docs/cli.md have every verb, and every flag of the clients',
    async run(t) {
      const pages = { man: (await text('man/sluice.1')).replaceAll('\\-', '-'), docs: await text('docs/cli.md') }
      for (const [name, page] of Object.entries(pages)) {
        for (const verb of await listVerbs(t)) assert.ok(page.includes(verb), `${name}: ${verb}`)
        for (const verb of clientVerbs) {
          for (const flag of await listFlags(t, verb)) assert.ok(page.includes(flag), `${name}: ${verb} ${flag}`)
        }
      }
    },
  },
  {
    name: 'bash completes verbs, flags, choices and files',
    async run(t) {
      assert.deepEqual(complete('').sort(), [...(await listVerbs(t)), '--help', '--version'].sort())
      assert.deepEqual(complete('pi'), ['ping'])
      for (const verb of ['serve', ...clientVerbs]) {
        assert.deepEqual(complete(`${verb} -`).sort(), [...(await listFlags(t, verb)), '--help'].sort())
      }
      assert.deepEqual(complete('pull ws://x s --si'), ['--since'])
      assert.deepEqual(complete('pull ws://x s --format '), ['json', 'table'])
      assert.deepEqual(complete('pull ws://x s --transport w'), ['ws'])
      assert.deepEqual(complete('pull ws://x s --ca READ'), ['README.md'])
      assert.deepEqual(complete('push ws://x s READ'), ['README.md'])
    },
  },
]
