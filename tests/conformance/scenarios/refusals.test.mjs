// What the clients of @livestore/sync-s2 and @livestore/sync-electric do about a push that the server calls
// invalid, when the next one is not: somebody between the two spoils the first of them.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'

import { atEnd, converge, openClient, startServer, until } from '../harness.mjs'

const timeout = 240_000

/** Passes everything on to the server, but the first `count` pushes without their last byte. */
const startSpoiler = async (t, server, count) => {
  const spoiler = { answers: [] }
  const passOn = async (request, response) => {
    const { method, url, headers } = request
    let body = await buffer(request)
    if (method === 'POST' && spoiler.answers.length < count) body = body.subarray(0, -1)
    delete headers['transfer-encoding']
    if (method === 'POST') headers['content-length'] = String(body.length)
    const onward = http.request(`${server.url}${url}`, { method, headers, agent: false })
    response.on('close', () => onward.destroy())
    onward.on('error', () => response.destroy())
    onward.on('response', (answer) => {
      if (method === 'POST') spoiler.answers.push(answer.statusCode)
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    onward.end(body)
  }
  const listener = http.createServer(passOn).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  atEnd(t, () => {
    listener.close()
    listener.closeAllConnections()
  })
  spoiler.url = `http://127.0.0.1:${listener.address().port}`
  return spoiler
}

for (const transport of ['s2', 'electric']) {
  // More than the three times that the S2 client itself tries: its leader, too, must come again.
  test(`a client whose pushes are refused with 400 goes on pulling, and pushes again, over ${transport}`, { timeout }, async (t) => {
    const server = await startServer(t, { args: ['--log-level', 'debug'] })
    const spoiler = await startSpoiler(t, server, 5)
    const anna = await openClient(t, { server: spoiler, name: 'anna', transport })
    const ben = await openClient(t, { server, name: 'ben', transport })

    await anna.createMany(3)
    await until('a push of anna is refused', () => spoiler.answers.length > 0)
    await ben.createMany(3)

    await converge([anna, ben], { todoCount: 6 })
    assert.deepEqual(spoiler.answers.slice(0, 5), [400, 400, 400, 400, 400])
    assert.equal(spoiler.answers.at(-1), 200)
    assert.match(server.output, /status=MALFORMED store=/)
    await anna.create('one more')
    await ben.create('one more')
    await converge([anna, ben], { todoCount: 8 })
  })
}
