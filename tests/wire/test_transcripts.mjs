// The recorded conversations of both client dialects, played to this server: every recording of the
// published client (v040) and of the next one (head), those of real clients and those made by hand
// (raw/). Where the answers are not to be the reference's, `deviations` says what is right and why.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { form, replay } from './lib/replay.mjs'
import { startServer } from './lib/server.mjs'

const { ok, end, die, page, unknownError, serverAhead } = form
const empty = page([])

const FINISHED = 'a pull that has ended gets nothing more; the reference goes on sending to its id'
const RETRANSMIT = 'a push that is already stored is acknowledged: its acknowledgement may have been lost'
const NO_ACK_NEEDED = "a catch-up's end does not wait for the acknowledgement of its last page"
const CHAIN = 'a batch must ascend and be one chain, or it is refused whole and stores nothing'
const ARGS = 'args may be absent, as the protocol allows, and come back as null'
const UNKNOWN_PROCEDURE = 'with a request id to answer, only that request dies, not all on the socket'
const NOT_A_PARAMETER = 'a sync request without valid parameters is refused with their names'

const malformedShapes = (number) => ({ in: 'raw/malformed-shapes', conn: number })

const deviations = [
  // ---- pushes ----
  { in: 'ws-stale-gap-retransmit-push', conn: 1, request: 6, answers: [ok], why: RETRANSMIT },
  { in: 'ws-stale-gap-retransmit-push', conn: 1, request: 7, answers: [ok], why: RETRANSMIT },
  { in: 'ws-stale-gap-retransmit-push', conn: 1, request: 4, answers: [empty, end], why: FINISHED },
  { in: 'v040/http-stale-gap-retransmit-push', req: 15, answers: [ok], why: RETRANSMIT },
  { in: 'v040/http-stale-gap-retransmit-push', req: 16, answers: [ok], why: RETRANSMIT },
  { in: 'head/http-stale-gap-retransmit-push', req: 16, answers: [ok], why: RETRANSMIT },
  { in: 'head/http-stale-gap-retransmit-push', req: 17, answers: [ok], why: RETRANSMIT },
  { in: 'raw/lost-ack-retransmit', conn: 2, request: 1, answers: [ok], why: RETRANSMIT },
  { in: 'raw/broken-parent-chain', conn: 1, request: 1, answers: [unknownError], why: CHAIN },
  { in: 'raw/broken-parent-chain', conn: 1, request: 4, answers: [empty, end], why: CHAIN },
  { in: 'raw/non-ascending-batch', conn: 1, request: 1, answers: [unknownError], why: CHAIN },
  { in: 'raw/non-ascending-batch', conn: 1, request: 2, answers: [empty, end], why: CHAIN },
  { in: 'raw/non-ascending-batch', conn: 1, request: 3, answers: [serverAhead(0, 3)], why: CHAIN },
  { in: 'raw/non-ascending-batch', conn: 1, request: 4, answers: [serverAhead(0, 2)], why: CHAIN },
  {
    in: 'raw/duplicate-seq-batch',
    conn: 1,
    request: 4,
    answers: [empty, end],
    why: 'a batch is stored whole or not at all; the reference keeps the first 14 events',
  },
  {
    in: 'raw/duplicate-seq-batch',
    conn: 1,
    request: 5,
    answers: [ok],
    why: 'nothing of the batch before it was stored',
  },
  {
    in: 'raw/pipelined-pushes',
    conn: 1,
    acknowledges: true,
    why: 'clients acknowledge chunks; at most 16 are sent ahead of that',
  },
  {
    in: 'raw/pipelined-pushes',
    conn: 1,
    request: 100,
    events: Array.from({ length: 30 }, (_, i) => i + 1),
    why: 'none is lost; a pull that fell behind gets several events in one chunk',
  },
  ...Array.from({ length: 25 }, (_, i) => ({
    in: 'head/raw/pipelined-pushes',
    conn: 1,
    request: i + 6,
    answers: [ok],
    why: 'pipelined pushes are taken in their order, so each finds its parent',
  })),
  { in: 'head/raw/args-absent-live', conn: 1, request: 2, answers: [ok], why: ARGS },
  {
    in: 'head/raw/args-absent-live',
    conn: 1,
    request: 1,
    answers: [empty, page([1], { args: 'null' })],
    why: ARGS,
  },
  {
    in: 'head/raw/args-absent-live',
    conn: 1,
    request: 3,
    answers: [page([1], { args: 'null' }), end],
    why: ARGS + '; ' + NO_ACK_NEEDED,
  },
  { in: 'head/http-args-undefined', req: 38, answers: [ok], why: ARGS },
  { in: 'head/http-args-undefined', req: 39, answers: [serverAhead(1, 2)], why: ARGS },
  { in: 'head/http-args-undefined', req: 40, answers: [serverAhead(1, 3)], why: ARGS },
  {
    in: 'head/http-args-undefined',
    req: 41,
    answers: [page([1], { args: 'null' }), end],
    why: ARGS,
  },
  { in: 'head/ws-args-undefined', conn: 1, request: 28, answers: [ok], why: ARGS },
  { in: 'head/ws-args-undefined', conn: 1, request: 29, answers: [serverAhead(1, 2)], why: ARGS },
  { in: 'head/ws-args-undefined', conn: 1, request: 30, answers: [serverAhead(1, 3)], why: ARGS },
  {
    in: 'head/ws-args-undefined',
    conn: 1,
    request: 31,
    answers: [page([1], { args: 'null' }), end],
    why: ARGS,
  },

  // ---- pulls ----
  {
    in: 'v040/raw/args-absent-live',
    conn: 1,
    request: 3,
    answers: [page([1], { args: 'null' }), end],
    why: NO_ACK_NEEDED,
  },
  {
    in: 'raw/concurrent-push-same-parent',
    conn: 1,
    request: 20,
    answers: [page([1]), end],
    why: NO_ACK_NEEDED,
  },
  {
    in: 'raw/failed-pull-keeps-receiving',
    conn: 1,
    request: 1,
    answers: [form.fail({ _tag: 'BackendIdMismatchError', received: 'WRONG' })],
    why: FINISHED,
  },
  {
    in: 'raw/finished-pull-keeps-receiving',
    conn: 1,
    request: 1,
    answers: [empty, end],
    why: FINISHED,
  },
  {
    in: 'raw/storeid-mismatch',
    conn: 2,
    request: 1,
    answers: [die],
    why: "the payload's storeId is not the URL's, which counts",
  },
  { in: 'raw/storeid-mismatch', conn: 2, request: 2, answers: [die], why: 'the same' },
  { in: 'raw/storeid-mismatch', conn: 2, request: 3, answers: [empty, end], why: 'the same' },
  { in: 'raw/storeid-mismatch', req: 1, answers: [die], why: 'the same' },

  // ---- messages ----
  {
    in: 'raw/binary-frame',
    conn: 1,
    closes: 1003,
    after: 1,
    why: 'the protocol has text messages only',
  },
  {
    in: 'raw/array-frame',
    conn: 1,
    request: 1,
    answers: [
      ({ chunk }) => {
        const [{ events, pageInfo }] = chunk
        assert.ok(events.length <= 1)
        assert.equal(pageInfo._tag, 'NoMore')
      },
      end,
    ],
    why: 'an array of messages is good in both dialects; the pull may or may not see the push',
  },
  { in: 'raw/array-frame', conn: 1, request: 2, answers: [ok], why: 'an array is good in both' },
  { in: 'raw/array-frame', conn: 1, request: 'Defect', answers: [], why: 'the same' },
  {
    in: 'raw/duplicate-request-id',
    conn: 1,
    closes: 1008,
    after: 2,
    why: 'two requests of one id cannot be answered apart; the reference falls silent',
  },
  {
    in: 'raw/eof',
    conn: 1,
    request: 1,
    answers: [empty, page([1])],
    why: 'Eof ends nothing that runs; the reference falls silent',
  },
  {
    in: 'raw/eof',
    conn: 1,
    request: 2,
    answers: [ok],
    why: 'requests after Eof are answered all the same',
  },
  { in: 'v040/raw/unknown-tag', conn: 1, request: 1, answers: [die], why: UNKNOWN_PROCEDURE },
  { in: 'v040/raw/unknown-tag', conn: 1, request: 'Defect', answers: [], why: UNKNOWN_PROCEDURE },
  {
    ...malformedShapes(1),
    request: 'Defect',
    answers: ['Defect'],
    why: 'null is not a message; the reference falls silent',
  },
  ...['v040', 'head'].map((version) => ({
    in: `${version}/raw/malformed-shapes`,
    conn: 1,
    request: 1,
    answers: [empty, end],
    why: 'and the socket goes on',
  })),
  {
    in: 'head/raw/malformed-shapes',
    conn: 4,
    request: 'Defect',
    answers: ['Defect'],
    why: 'an empty array holds no message',
  },
  { in: 'v040/raw/malformed-shapes', conn: 8, request: 'Defect', answers: [], why: UNKNOWN_PROCEDURE },
  {
    in: 'v040/raw/malformed-shapes',
    conn: 8,
    request: 1,
    answers: [die, empty, end],
    why: UNKNOWN_PROCEDURE,
  },
  {
    in: 'head/raw/malformed-shapes',
    conn: 8,
    requestText: '1',
    answers: [empty, end],
    why: 'another id than "1"; the recording took the answer to that for its answer',
  },
  {
    ...malformedShapes(9),
    closes: 1013,
    after: 1,
    why: 'an Ack of a request that this socket never had: a client that believes an old pull runs',
  },
  { ...malformedShapes(10), closes: 1013, after: 1, why: 'an Interrupt of such a request' },

  // ---- request ids ----
  ...[2, 7, 8, 9].flatMap((conn) => [
    {
      in: 'v040/raw/id-styles',
      conn,
      request: 'Defect',
      answers: [],
      why: 'a number as id is good: it is the other dialect, which is answered in its own form',
    },
    {
      in: 'v040/raw/id-styles',
      conn,
      request: { 2: 1, 7: 9007199254740992, 8: 1.5, 9: -1 }[conn],
      answers: [ok, empty, end],
      why: 'the same; the end does not wait for an Ack that the recording has not',
    },
  ]),
  ...[
    [3, '007', '7'],
    [5, '', '0'],
  ].flatMap(([conn, id, recorded]) => [
    {
      in: 'v040/raw/id-styles',
      conn,
      request: id,
      answers: [ok, empty, end],
      why: 'ids are echoed as they are, not read as numbers',
    },
    { in: 'v040/raw/id-styles', conn, request: recorded, answers: [], why: 'the same' },
    { in: 'v040/raw/id-styles', conn, unsent: 3, why: 'an Ack of what the reference echoed' },
  ]),
  {
    in: 'v040/raw/id-styles',
    conn: 4,
    request: 'abc',
    answers: [ok, empty, end],
    why: 'any string is an id; the reference falls silent',
  },
  ...[10, 11].map((conn) => ({
    in: 'raw/id-styles',
    conn,
    request: 'Defect',
    answers: ['Defect', 'Defect'],
    why: 'each request without an id is a defect; the reference falls silent after the first',
  })),

  // ---- payloads ----
  ...[1, 2, 3, 4, 6].map((request) => ({
    in: 'raw/bad-payload',
    conn: 1,
    request,
    answers: [die],
    why: FINISHED,
  })),
  { in: 'raw/bad-payload', conn: 1, request: 5, answers: [empty, end], why: FINISHED },
  {
    in: 'raw/bad-payload',
    conn: 1,
    request: 10,
    answers: [die],
    why: 'a sequence number is an integer from 0 on',
  },
  {
    in: 'raw/bad-payload',
    conn: 1,
    request: 12,
    answers: [ok],
    why: 'the head is still 0, since no event of number -1 was taken',
  },
  {
    in: 'raw/bad-payload',
    conn: 1,
    request: 13,
    answers: [page([1]), end],
    why: 'the same; ' + NO_ACK_NEEDED,
  },

  // ---- HTTP ----
  { in: 'raw/http-misc', req: 5, status: 404, why: 'nothing is there' },
  { in: 'raw/http-misc', req: 6, status: 404, why: 'nothing is there' },
  { in: 'raw/http-misc', req: 7, status: 404, why: 'nothing is there' },
  {
    in: 'raw/http-misc',
    req: 8,
    status: 405,
    text: /POST/,
    why: 'transport=http is asked with POST',
  },
  { in: 'raw/http-misc', req: 10, status: 200, why: 'HEAD answers as GET does' },
  ...[15, 16].map((req) => ({
    in: 'raw/http-misc',
    req,
    status: 400,
    answers: ['Defect'],
    why: 'a body that is not JSON; the RPC answer has the fitting status',
  })),
  { in: 'head/raw/http-misc', req: 17, answers: ['Defect'], why: 'an empty array holds no message' },
  {
    in: 'v040/raw/http-misc',
    req: 14,
    answers: Array(2).fill({ exit: 'ok', value: { _tag: 'SyncMessage.Pong' } }),
    why: 'an array of messages is good in both dialects',
  },
  { in: 'v040/raw/http-misc', req: 19, answers: [die], why: UNKNOWN_PROCEDURE },
  { in: 'v040/raw/http-misc', req: 20, answers: [die], why: UNKNOWN_PROCEDURE },
  { in: 'raw/http-misc', req: 24, status: 400, text: /storeId/, why: NOT_A_PARAMETER },

  // ---- handshakes ----
  { in: 'raw/missing-params', conn: 2, refused: [400, /storeId/], why: NOT_A_PARAMETER },
  { in: 'raw/missing-params', conn: 3, refused: [400, /transport/], why: NOT_A_PARAMETER },
  { in: 'raw/missing-params', conn: 4, refused: [400, /transport/], why: NOT_A_PARAMETER },
  { in: 'raw/missing-params', conn: 5, refused: [400, /storeId/], why: NOT_A_PARAMETER },
  { in: 'raw/missing-params', conn: 6, refused: [400, /payload/], why: NOT_A_PARAMETER },
  {
    in: 'raw/missing-params',
    conn: 9,
    opens: true,
    why: 'a payload that is percent-encoded once is good as well, also with a % in it',
  },
  { in: 'raw/missing-params', conn: 10, refused: [400, /transport/], why: NOT_A_PARAMETER },
  {
    in: 'raw/missing-params',
    conn: 11,
    request: 1,
    answers: [empty, end],
    why: NO_ACK_NEEDED,
  },
]

const root = fileURLToPath(new URL('./transcripts/', import.meta.url))
const names = ['v040', 'v040/raw', 'head', 'head/raw'].flatMap((folder) =>
  fs
    .readdirSync(root + folder)
    .filter((file) => file.endsWith('.jsonl'))
    .sort()
    .map((file) => `${folder}/${file.slice(0, -'.jsonl'.length)}`),
)
const concerns = (deviation, name) => `/${name}`.endsWith(`/${deviation.in}`)
const server = await startServer()

for (const name of names) {
  test(`the recording ${name} is answered as it should be`, () =>
    replay(
      server,
      `${root}${name}.jsonl`,
      deviations.filter((deviation) => concerns(deviation, name)),
    ))
}

test('every deviation concerns a recording, and all recordings are there', () => {
  assert.equal(names.length, 86)
  for (const deviation of deviations) {
    assert.ok(deviation.why)
    assert.ok(
      names.some((name) => concerns(deviation, name)),
      deviation.in,
    )
  }
})

test('the server ends well after all of them', () => server.stop())
