// A server that answers a pull in ways that it should not. Most are what tests of LiveStore's own client
// against a fake server have recorded; the others are worse.

import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'

import { checkEvents, startDriver } from './lib/driver.mjs'
import { chunk, exit, fail, failure, frame, makeEvent, makeEvents, page, startFakeServer, success } from './lib/fake_server.mjs'
import { first, survive } from './lib/survive.mjs'

const numbered = (...numbers) => numbers.map((n) => makeEvent(n))
const text = (conn, value) => conn.raw(frame(value))
const goodChunk = ({ server }, { id }) => JSON.stringify(chunk(id, page(server.log)))
/** As it should be answered, for faults that only come before. */
const good = (conn, message) => conn.server.answer(conn, message)

const changed = (change) => (conn, { id }) => {
  const value = structuredClone(page(conn.server.log))
  change(value)
  conn.send(chunk(id, value))
}

// The first pull is answered so; what comes later, as it should be.
const firstAnswers = {
  'pages that come in the wrong order': (conn, { id }) => {
    conn.send(chunk(id, page(numbered(4, 5))), chunk(id, page(numbered(1, 2, 3), { more: 'MoreKnown', remaining: 2 })))
  },
  'a page that comes twice': (conn, { id }) => {
    const start = chunk(id, page(numbered(1, 2, 3), { more: 'MoreKnown', remaining: 2 }))
    conn.send(start, start, chunk(id, page(numbered(4, 5))), chunk(id, page(numbered(4, 5))))
  },
  'pages that overlap': (conn, { id }) => {
    conn.send(chunk(id, page(numbered(1, 2, 3), { more: 'MoreUnknown' })), chunk(id, page(numbered(2, 3, 4, 5))))
  },
  'a gap': (conn, { id }) => {
    conn.send(chunk(id, page(numbered(1, 2), { more: 'MoreKnown', remaining: 2 })), chunk(id, page(numbered(4, 5))))
  },
  'a gap inside a page': (conn, { id }) => conn.send(chunk(id, page(numbered(1, 2, 4, 5)))),
  'events in disorder inside a page': (conn, { id }) => conn.send(chunk(id, page(numbered(2, 1, 3, 5, 4)))),
  'a live event that overtakes the catch-up': (conn, { id }) => {
    conn.send(
      chunk(id, page(numbered(1, 2), { more: 'MoreKnown', remaining: 2 })),
      chunk(id, page(numbered(5))),
      chunk(id, page(numbered(3, 4, 5))),
    )
  },
  'several pages in one chunk': (conn, { id }) => {
    conn.send(chunk(id, page(numbered(1, 2), { more: 'MoreKnown', remaining: 3 }), page(numbered(3, 4, 5))))
  },
  'several messages in one frame': (conn, { id }) => {
    const messages = [{ _tag: 'Pong' }, chunk(id, page(numbered(1, 2), { more: 'MoreKnown', remaining: 3 }))]
    text(conn, JSON.stringify([...messages, chunk(id, page(numbered(3, 4, 5)))]))
  },
  'a chunk without values': (conn, message) => {
    conn.send({ _tag: 'Chunk', requestId: message.id, values: [] })
    good(conn, message)
  },
  'the request id as a number': (conn, { id }) => conn.send(chunk(Number(id), page(conn.server.log))),
  'a chunk of another request': (conn, message) => {
    conn.send(chunk('999', page(numbered(70, 71))), chunk('x', page(numbered(70))), chunk(null, page(numbered(70))))
    good(conn, message)
  },
  'an exit of another request': (conn, message) => {
    conn.send(success('999', null), fail('998', { _tag: 'UnknownError', cause: 'not yours' }))
    good(conn, message)
  },
  'messages that nobody knows': (conn, message) => {
    conn.send({ _tag: 'News', requestId: message.id }, { _tag: 'ClientEnd', clientId: 0 })
    good(conn, message)
  },
  'fields that nobody knows': changed((value) => {
    value.more = { than: 'asked' }
    for (const one of value.batch) Object.assign(one.eventEncoded, { hue: [1, 2], syncMetadata: null })
  }),
  'metadata that is None': changed((value) => value.batch.forEach((one) => (one.metadata = { _tag: 'None' }))),
  'no metadata': changed((value) => value.batch.forEach((one) => delete one.metadata)),
  'a value that is no page': (conn, { id }) => conn.send(chunk(id, 'surprise')),
  'a page without a batch': changed((value) => delete value.batch),
  'a page without its info': changed((value) => delete value.pageInfo),
  'a page without a backend id': changed((value) => delete value.backendId),
  'an event without a name': changed((value) => delete value.batch[1].eventEncoded.name),
  'a number that is a string': changed((value) => (value.batch[1].eventEncoded.seqNum = '2')),
  'a number that is none': changed((value) => (value.batch[1].eventEncoded.seqNum = 1.5)),
  'a negative number': changed((value) => (value.batch[0].eventEncoded.parentSeqNum = -1)),
  'garbage': (conn) => text(conn, 'q8%&/('),
  'half a message': (conn, message) => text(conn, goodChunk(conn, message).slice(0, 200)),
  'null': (conn) => text(conn, 'null'),
  'an empty frame': (conn) => text(conn, ''),
  'an empty array': (conn, message) => {
    text(conn, '[]')
    conn.cut()
  },
  'a binary frame': (conn, message) => conn.raw(frame(goodChunk(conn, message), { opcode: 2 })),
  'a compressed frame': (conn) => conn.raw(Buffer.from([0xc1, 2, 0x4a, 0])),
  'a masked frame': (conn) => conn.raw(Buffer.from([0x81, 0x82, 1, 2, 3, 4, 5, 6])),
  'a frame of an unknown kind': (conn) => conn.raw(Buffer.from([0x83, 0])),
  'a frame longer than anything': (conn) => conn.raw(Buffer.from([0x81, 127, 0, 0, 0xff, 0, 0, 0, 0, 0])),
  'text that is not UTF-8': (conn) => conn.raw(frame(Buffer.from([0x22, 0xc3, 0x28, 0x22]))),
  'a message in many fragments': (conn, message) => {
    const bytes = Buffer.from(goodChunk(conn, message))
    for (let at = 0; at < bytes.length; at += 7) {
      conn.raw(frame(bytes.subarray(at, at + 7), { opcode: at === 0 ? 1 : 0, fin: at + 7 >= bytes.length }))
      if (at === 70) conn.raw(frame('are you there?', { opcode: 9 }))
    }
  },
  'a defect': (conn) => conn.send({ _tag: 'Defect', defect: { message: 'it broke' } }),
  'a defect of plain text': (conn) => conn.send({ _tag: 'Defect', defect: 'it broke' }),
  'a success without events': (conn, { id }) => conn.send(success(id, null)),
  'a success without a value': (conn, { id }) => conn.send(exit(id, { _tag: 'Success' })),
  'a success with an object': (conn, { id }) => conn.send(success(id, {})),
  'the defect of one request, v3': (conn, { id }) => conn.send(failure(id, { _tag: 'Die', defect: 'why' })),
  'the defect of one request, an object': (conn, { id }) =>
    conn.send(failure(id, { _tag: 'Die', defect: { name: 'Error', message: 'why' } })),
  'the defect of one request, v4': (conn, { id }) => conn.send(failure(id, [{ _tag: 'Die', defect: 'why' }])),
  'a cause that is empty, v3': (conn, { id }) => conn.send(failure(id, { _tag: 'Empty' })),
  'a cause that is empty, v4': (conn, { id }) => conn.send(failure(id, [])),
  'an interruption, v3': (conn, { id }) => conn.send(failure(id, { _tag: 'Interrupt', fiberId: { _tag: 'None' } })),
  'an interruption by a fiber': (conn, { id }) =>
    conn.send(failure(id, { _tag: 'Interrupt', fiberId: { _tag: 'Runtime', id: 7, startTimeMillis: 1 } })),
  'an interruption, v4': (conn, { id }) => conn.send(failure(id, [{ _tag: 'Interrupt', fiberId: null }])),
  'an interruption without an id': (conn, { id }) => conn.send(failure(id, [{ _tag: 'Interrupt' }])),
  'an unknown error': (conn, { id }) => conn.send(fail(id, { _tag: 'UnknownError', cause: { name: 'Error' } })),
  'an unknown error, v4': (conn, { id }) => conn.send(failure(id, [{ _tag: 'Fail', error: { _tag: 'UnknownError', cause: 'x' } }])),
  'an unknown error whose cause is null': (conn, { id }) => conn.send(fail(id, { _tag: 'UnknownError', cause: null })),
  'an unknown error without a cause': (conn, { id }) => conn.send(fail(id, { _tag: 'UnknownError' })),
  'an error that nobody knows': (conn, { id }) => conn.send(fail(id, { _tag: 'Sulking' })),
  'an error without a tag': (conn, { id }) => conn.send(fail(id, 'no')),
  'ServerAhead to a pull': (conn, { id }) => conn.send(fail(id, { _tag: 'ServerAheadError', minimumExpectedNum: 1, providedNum: 0 })),
  'the end with code 1000': (conn) => conn.close(1000),
  'the end with code 1001': (conn) => conn.close(1001, 'going away'),
  'the end with code 1011': (conn) => conn.close(1011, 'it broke'),
  'the end with a code that must not be': (conn) => conn.close(1005),
  'the end without a goodbye': (conn) => conn.end(),
  'a cut': (conn) => conn.cut(),
}

// The catch-up is right, and then, on a live pull at the head, this happens.
const laterFaults = {
  'ended live by the server': (conn, id) => conn.send(success(id, null)),
  'ended live with code 1000': (conn) => conn.close(1000),
  'ended live with code 1001': (conn) => conn.close(1001),
  'ended live with code 1011': (conn) => conn.close(1011),
  'ended live with a cut': (conn) => conn.cut(),
  'followed by events that were had already': (conn, id) => conn.send(chunk(id, page(numbered(2, 3))), chunk(id, page(numbered(5)))),
  'followed by an event that lies in the future': (conn, id) => conn.send(chunk(id, page(numbered(9)))),
  'followed by a defect': (conn) => conn.send({ _tag: 'Defect', defect: 'it broke' }),
}

const table = [
  ...Object.entries(firstAnswers).map(([what, fault]) => ({
    name: `a pull that is answered by ${what} still brings every event once`,
    run: (t) => survive(t, { hooks: { message: first('Pull', fault) } }),
  })),
  ...Object.entries(laterFaults).map(([what, fault]) => ({
    name: `a live pull, ${what}, goes on at its cursor`,
    run: (t) =>
      survive(t, {
        after: ({ server }) => {
          const conn = server.connections.findLast((one) => one.lives.size > 0)
          const [id] = conn.lives
          fault(conn, id)
        },
      }),
  })),
]

export const tests = [
  ...table,
  {
    name: 'a server that closes at every byte of its answer loses and doubles nothing',
    run: async (t) => {
      let bytes = 0
      let length = 1
      const hooks = {
        message: (conn, message) => {
          if (!message.tag?.endsWith('Pull') || bytes >= length) return false
          const after = message.payload.cursor.value?.eventSequenceNumber ?? 0
          const answer = Buffer.concat(conn.server.pages(after).map((one) => frame(JSON.stringify(chunk(message.id, one)))))
          length = Math.max(length, answer.length)
          conn.raw(answer.subarray(0, bytes++))
          conn.end()
          return true
        },
      }
      // One event a page, so that the cursor moves in between.
      await survive(t, { hooks, count: 2, server: { pageSize: 1 }, options: { backoff_base_ms: 1, backoff_cap_ms: 1 } })
      assert.ok(bytes > 300, `${bytes} bytes`)
    },
  },
  {
    name: 'a server that cuts at every byte of the handshake is only tried again',
    run: async (t) => {
      let bytes = 0
      const hooks = {
        head: (conn, request) => {
          const answer = conn.upgradeBytes(request)
          if (bytes >= answer.length) return false
          conn.raw(answer.subarray(0, bytes++))
          conn.end()
          return true
        },
      }
      await survive(t, { hooks, options: { backoff_base_ms: 1, backoff_cap_ms: 1 } })
    },
  },
  {
    name: 'an answer that drips byte by byte is read',
    run: async (t) => {
      const drip = async (conn, bytes) => {
        for (const byte of bytes) {
          conn.raw(Buffer.from([byte]))
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      const hooks = {
        message: first('Pull', (conn, { id }) => {
          void drip(conn, frame(JSON.stringify(chunk(id, page(conn.server.log)))))
        }),
      }
      await survive(t, { hooks })
    },
  },
  {
    name: 'hundreds of chunks without waiting for an acknowledgement are taken, and each is acknowledged',
    run: async (t) => {
      const { server, driver } = await survive(t, { count: 400, server: { pageSize: 1 } })
      await driver.until('all Acks', () => server.count('Ack') >= 400)
    },
  },
  {
    name: 'an event without args has null as its args',
    run: async (t) => {
      const server = await startFakeServer(t, { log: [{ ...makeEvent(1), args: undefined }] })
      const driver = await startDriver(t, server.ws, 'store')
      driver.do('pull 1 0 once')
      assert.equal((await driver.told('ended')).status, 'OK')
      assert.equal(driver.events(1)[0].args, null)
    },
  },
  {
    name: 'a log with a broken chain, as the reference server accepts it, is passed on as it is',
    run: async (t) => {
      const log = [...makeEvents(3), { ...makeEvent(5), parentSeqNum: 4 }, makeEvent(6)]
      const server = await startFakeServer(t, { log })
      const driver = await startDriver(t, server.ws, 'store')
      driver.do('pull 1 0 live')
      await driver.until('all events', () => driver.events(1).length === 5)
      assert.deepEqual(driver.events(1).map(({ seqNum }) => seqNum), [1, 2, 3, 5, 6])
    },
  },
  {
    name: 'a pull that the server refuses again and again ends with its words',
    run: async (t) => {
      const hooks = { message: first('Pull', (conn, { id }) => conn.send(fail(id, { _tag: 'UnknownError', cause: 'the moon' })), 99) }
      const server = await startFakeServer(t, { hooks, log: makeEvents(3) })
      const driver = await startDriver(t, server.ws, 'store')
      driver.do('pull 1 0 live')
      const ended = await driver.told('ended')
      assert.equal(ended.status, 'UNKNOWN')
      assert.match(ended.message, /the moon/)
    },
  },
  {
    name: 'a page that can never be read ends a pull, live or not, after a few tries',
    run: async (t) => {
      const log = makeEvents(3)
      delete log[1].name
      for (const how of ['live', 'once']) {
        for (const transport of ['ws', 'http']) {
          const server = await startFakeServer(t, { log })
          const driver = await startDriver(t, server[transport], 'store')
          driver.do(`pull 1 0 ${how}`)
          const ended = await driver.told('ended')
          assert.equal(ended.status, 'UNKNOWN')
          assert.match(ended.message, /name is missing/)
          assert.ok(server.messages.length < 20, `${server.messages.length} messages`)
        }
      }
    },
  },
  {
    name: 'a server that takes every handshake and answers nothing ends what waits in vain with OFFLINE',
    run: async (t) => {
      const hooks = { message: (conn) => (conn.cut(), true) }
      const server = await startFakeServer(t, { hooks, log: makeEvents(3) })
      const driver = await startDriver(t, server.ws, 'store', { operation_timeout_ms: 300 })
      driver.do('pull 1 0 once')
      driver.do('push 4 1 3 10')
      assert.equal((await driver.told('ended')).status, 'OFFLINE')
      assert.equal((await driver.told('pushed')).status, 'OFFLINE')
    },
  },
  {
    name: 'another backend id ends a pull, and says which',
    run: async (t) => {
      const error = { _tag: 'BackendIdMismatchError', expected: 'theirs', received: 'ours' }
      const hooks = { message: first('Pull', (conn, { id }) => conn.send(fail(id, error))) }
      const server = await startFakeServer(t, { hooks, log: makeEvents(3) })
      const driver = await startDriver(t, server.ws, 'store')
      driver.do('pull 1 0 live')
      const ended = await driver.told('ended')
      assert.equal(ended.status, 'BACKEND_ID_MISMATCH')
      assert.equal(ended.expectedId, 'theirs')
      assert.equal(ended.receivedId, 'ours')
    },
  },
  {
    name: 'a page of another log than before ends a pull before anything of it is told',
    run: async (t) => {
      const server = await startFakeServer(t, { log: makeEvents(3) })
      const driver = await startDriver(t, server.ws, 'store')
      driver.do('pull 1 0 once')
      await driver.told('ended')
      server.hooks.message = first('Pull', (conn, { id }) => conn.send(chunk(id, { ...page(numbered(4)), backendId: 'another' })))
      driver.do('pull 2 3 live')
      const ended = await driver.told('ended', { nth: 2 })
      assert.equal(ended.status, 'BACKEND_ID_MISMATCH')
      assert.equal(ended.expectedId, 'another')
      assert.deepEqual(driver.events(2), [])
    },
  },
  {
    name: 'a cancelled pull ends at once, also when the server does not say so',
    run: async (t) => {
      const server = await startFakeServer(t, { log: makeEvents(3), hooks: { message: first('Interrupt', () => {}, 99) } })
      const driver = await startDriver(t, server.ws, 'store')
      driver.do('pull 1 0 live')
      await driver.told('page')
      driver.do('cancel 1')
      assert.equal((await driver.told('ended')).status, 'CLOSED')
      server.append([makeEvent(4)]) // still comes on the old request
      driver.do('pull 2 0 once')
      assert.equal((await driver.told('ended', { nth: 2 })).status, 'OK')
      checkEvents(driver.events(2), 4)
      assert.equal(driver.events(1).length, 3)
    },
  },
  {
    name: 'a defect that hits every request of the socket leaves none without an end',
    run: async (t) => {
      const hooks = {
        message: first('Push', (conn) => conn.send({ _tag: 'Defect', defect: 'a push broke me' })),
      }
      await survive(t, { hooks })
    },
  },
]
